// system and popen, from several threads at once.
#include "check.h"

static int run(const char* command) {
  int status = system(command);
  CHECK_OK(status);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void* runs(void* argument) {
  int id = (int)(intptr_t)argument;
  char command[64];
  for (int i = 0; i < 5; ++i) {
    snprintf(command, sizeof command, "exit %d", id * 10 + i);
    CHECK_EQ(id * 10 + i, run(command));
  }
  int status = system("kill -TERM $$");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  CHECK_EQ(127, run("/nonexistent/program 2>/dev/null"));
  return argument;
}

static void* reads(void* argument) {
  int id = (int)(intptr_t)argument;
  char command[64], line[64], expected[64];
  for (int i = 0; i < 3; ++i) {
    snprintf(command, sizeof command, "echo a %d; sleep 0.01; echo b %d; exit 3", id, i);
    FILE* stream = popen(command, "r");
    CHECK(stream != NULL);
    CHECK(fgets(line, sizeof line, stream) != NULL);
    snprintf(expected, sizeof expected, "a %d\n", id);
    CHECK_STR(expected, line);
    CHECK(fgets(line, sizeof line, stream) != NULL);
    snprintf(expected, sizeof expected, "b %d\n", i);
    CHECK_STR(expected, line);
    CHECK(fgets(line, sizeof line, stream) == NULL);
    int status = pclose(stream);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  }
  return argument;
}

static void* writes(void* argument) {
  for (int i = 0; i < 3; ++i) {
    FILE* stream = popen("n=0; while read x; do n=$((n+x)); done; exit $n", "w");
    CHECK(stream != NULL);
    for (int k = 1; k <= 15; ++k) CHECK(fprintf(stream, "%d\n", k) > 0);
    int status = pclose(stream);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 120);
  }
  return argument;
}

static void all(void* (*body)(void*)) {
  pthread_t threads[5];
  for (intptr_t i = 0; i < 5; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
}

int main(void) {
  CHECK_OK(setenv("TEST_WORD", "exported", 1));
  be_threaded();
  all(runs);
  CHECK_EQ(0, run("test \"$TEST_WORD\" = exported"));
  CHECK(system(NULL) != 0);
  pass("system");
  all(reads);
  all(writes);
  pass("popen");
  return 0;
}
