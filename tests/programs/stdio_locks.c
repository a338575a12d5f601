// stdio locks its streams per thread: flockfile keeps others out over blocking calls, is recursive,
// and ftrylockfile reports.
#include "check.h"

enum { kThreads = 10, kLines = 100 };

static FILE* stream;
static int reported;

static void* prints_in_pieces(void* argument) {
  int id = (int)(intptr_t)argument;
  for (int i = 0; i < kLines; ++i) {
    flockfile(stream);
    flockfile(stream);
    fprintf(stream, "thread %d", id);
    if (i % 10 == 0) usleep(50);
    fprintf(stream, " line %d", i);
    if (i % 7 == 0) sched_yield();
    funlockfile(stream);
    putc_unlocked('\n', stream);
    funlockfile(stream);
  }
  return argument;
}

static void* tries(void* argument) {
  reported = ftrylockfile(stream);
  if (reported == 0) funlockfile(stream);
  return argument;
}

static void* opens_and_closes(void* argument) {
  for (int i = 0; i < 50; ++i) {
    FILE* file = tmpfile();
    CHECK(file != NULL);
    CHECK(fprintf(file, "%d %d\n", (int)(intptr_t)argument, i) > 0);
    rewind(file);
    int id = -1, number = -1;
    CHECK_EQ(2, fscanf(file, "%d %d", &id, &number));
    CHECK_EQ((intptr_t)argument, id);
    CHECK_EQ(i, number);
    if (i % 10 == 0) CHECK_EQ(0, fflush(NULL));  // walks all streams of all threads
    CHECK_EQ(0, fclose(file));
  }
  return argument;
}

int main(void) {
  stream = tmpfile();
  CHECK(stream != NULL);
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(prints_in_pieces, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  rewind(stream);
  char line[100];
  int next[kThreads] = {0};
  for (int i = 0; i < kThreads * kLines; ++i) {
    CHECK(fgets(line, sizeof line, stream) != NULL);
    int id = -1, number = -1;
    CHECK_EQ(2, sscanf(line, "thread %d line %d\n", &id, &number));
    CHECK(id >= 0 && id < kThreads);
    CHECK_EQ(next[id]++, number);
  }
  CHECK(fgets(line, sizeof line, stream) == NULL);
  pass("lines printed in pieces");

  flockfile(stream);
  CHECK_EQ(0, ftrylockfile(stream));
  join_thread(start_thread(tries, NULL));
  CHECK(reported != 0);
  funlockfile(stream);
  funlockfile(stream);
  join_thread(start_thread(tries, NULL));
  CHECK_EQ(0, reported);
  pass("ftrylockfile");

  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(opens_and_closes, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("streams opened, flushed and closed in many threads");
  return 0;
}
