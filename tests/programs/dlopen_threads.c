// Libraries opened, used and closed in many threads at once; the library's constructor blocks, and
// its thread-locals are each thread's own.
#include <dlfcn.h>

#include "check.h"

enum { kThreads = 20 };

static const char* path;
static pthread_barrier_t barrier;

static void* symbol(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (!found) FAIL("dlsym %s: %s", name, dlerror());
  return found;
}

static void* uses(void* argument) {
  int id = (int)(intptr_t)argument;
  pthread_barrier_wait(&barrier);
  for (int round = 0; round < 3; ++round) {
    void* library = dlopen(path, round % 2 ? RTLD_LAZY : RTLD_NOW);
    if (!library) FAIL("dlopen: %s", dlerror());
    int (*is_ready)(void) = (int (*)(void))symbol(library, "plugin_is_ready");
    int (*count)(int) = (int (*)(int))symbol(library, "plugin_count");
    int (*catches)(int) = (int (*)(int))symbol(library, "plugin_catch");
    CHECK_EQ(1, is_ready());  // whoever comes second waits for the constructor
    int before = count(0);
    sched_yield();
    CHECK_EQ(before + id, count(id));
    usleep(100);
    CHECK_EQ(before + 2 * id, count(id));
    CHECK_EQ(id, catches(id));
    CHECK(dlsym(library, "no_such_symbol") == NULL);
    const char* error = dlerror();
    CHECK(error && strstr(error, "no_such_symbol"));
    CHECK(dlerror() == NULL);
    CHECK_EQ(0, dlclose(library));
  }
  return argument;
}

static void* opens_system_library(void* argument) {
  for (int i = 0; i < 20; ++i) {
    void* library = dlopen("libm.so.6", RTLD_NOW);
    CHECK(library != NULL);
    double (*cosine)(double) = (double (*)(double))symbol(library, "cos");
    CHECK(cosine(0) == 1);
    CHECK_EQ(0, dlclose(library));
    CHECK(dlopen("/nonexistent/library.so", RTLD_NOW) == NULL);
    CHECK(strstr(dlerror(), "nonexistent"));
  }
  return argument;
}

int main(int argc, char** argv) {
  CHECK_EQ(2, argc);
  path = argv[1];
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(uses, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("a library of its own");
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(opens_system_library, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("a library of the system");
  return 0;
}
