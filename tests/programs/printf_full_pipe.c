// Threads that print to one stream over a pipe that is full most of the time: lines stay whole, and
// those of one thread stay in order. stdout itself is such a stream.
#include "check.h"

enum { kThreads = 4, kLines = 500 };

static int ends[2];
static FILE* stream;

static void* prints(void* argument) {
  int id = (int)(intptr_t)argument;
  for (int i = 0; i < kLines; ++i) {
    CHECK(fprintf(stream, "%d %d %0*d\n", id, i, 200 + i % 100, i) > 0);
  }
  return argument;
}

static void drain_slowly(void) {
  FILE* in = fdopen(ends[0], "r");
  CHECK(in != NULL);
  char line[400];
  int next[kThreads] = {0};
  for (int total = 0; total < kThreads * kLines; ++total) {
    if (total % 25 == 0) usleep(500);
    CHECK(fgets(line, sizeof line, in) != NULL);
    int id = -1, number = -1, used = 0, last = -1;
    CHECK_EQ(2, sscanf(line, "%d %d %n", &id, &number, &used));
    CHECK(id >= 0 && id < kThreads);
    CHECK_EQ(next[id]++, number);
    CHECK_EQ(200 + number % 100 + 1, strlen(line + used));
    CHECK_EQ(1, sscanf(line + used, "%d", &last));
    CHECK_EQ(number, last);
  }
  CHECK_EQ(0, fclose(in));
}

static void print_all(void) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(prints, (void*)i);
  drain_slowly();
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

static void open_pipe(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(fcntl(ends[1], F_SETPIPE_SZ, 4096));
}

int main(void) {
  int modes[] = {_IOFBF, _IOLBF, _IONBF};
  const char* names[] = {"fully buffered", "line buffered", "unbuffered"};
  for (int i = 0; i < 3; ++i) {
    open_pipe();
    stream = fdopen(ends[1], "w");
    CHECK(stream != NULL);
    CHECK_EQ(0, setvbuf(stream, NULL, modes[i], modes[i] == _IONBF ? 0 : 1024));
    pthread_t threads[kThreads];
    for (intptr_t k = 0; k < kThreads; ++k) threads[k] = start_thread(prints, (void*)k);
    if (modes[i] == _IOFBF) {  // the rest of the buffer goes out with fclose, once all have printed
      pid_t reader = fork();
      CHECK_OK(reader);
      if (reader == 0) {
        drain_slowly();
        _exit(0);
      }
      for (int k = 0; k < kThreads; ++k) join_thread(threads[k]);
      CHECK_EQ(0, fclose(stream));
      CHECK_EXITED(0, reader);
      CHECK_OK(close(ends[0]));
    } else {
      drain_slowly();
      for (int k = 0; k < kThreads; ++k) join_thread(threads[k]);
      CHECK_EQ(0, fclose(stream));
    }
    pass(names[i]);
  }

  int saved = dup(1);
  CHECK_OK(saved);
  open_pipe();
  CHECK_OK(dup2(ends[1], 1));
  CHECK_OK(close(ends[1]));
  stream = stdout;
  CHECK_EQ(0, setvbuf(stdout, NULL, _IOLBF, 1024));
  print_all();
  CHECK_OK(dup2(saved, 1));
  pass("stdout");
  return 0;
}
