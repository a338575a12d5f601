// A threaded process that is killed by SIGTERM leaves that status to whoever started it.
#include "check.h"

static void* kills(void* argument) {
  usleep(1000);
  CHECK_OK(kill(getpid(), SIGTERM));
  return argument;
}

int main(void) {
  pass("before");
  start_thread(kills, NULL);
  for (;;) pause();
}
