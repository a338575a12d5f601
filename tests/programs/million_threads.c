// Many short threads, one after the other and some at a time: what each took is given back.
// usage: million_threads COUNT
#include "check.h"

static long sum;

static void* adds(void* argument) {
  __atomic_add_fetch(&sum, (long)(intptr_t)argument, __ATOMIC_RELAXED);
  return argument;
}

static long resident_kilobytes(void) {
  long pages = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL);
  CHECK_EQ(2, fscanf(file, "%ld %ld", &pages, &resident));
  fclose(file);
  return resident * 4;
}

int main(int argc, char** argv) {
  const long count = argc > 1 ? atol(argv[1]) : 100000;
  for (long i = 0; i < 1000; ++i) join_thread(start_thread(adds, (void*)1));
  const long before = resident_kilobytes();
  for (long i = 0; i < count / 2; ++i) join_thread(start_thread(adds, (void*)1));
  pass("one after the other");
  pthread_t threads[50];
  for (long i = 0; i < count / 2 / 50; ++i) {
    for (int k = 0; k < 50; ++k) threads[k] = start_thread(adds, (void*)1);
    for (int k = 0; k < 50; ++k) join_thread(threads[k]);
  }
  pass("fifty at a time");
  CHECK_EQ(1000 + count, sum);
  CHECK(resident_kilobytes() < before + 64 * 1024);
  pass("memory is given back");
  return 0;
}
