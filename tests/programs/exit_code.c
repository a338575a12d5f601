// The process ends with the status given to exit in a thread; what is buffered is written, and
// atexit handlers run, last first.
#include "check.h"

static void first(void) { printf("first handler\n"); }
static void second(void) { printf("second handler\n"); }

static void* blocks(void* argument) {
  pause();
  return argument;
}

static void* exits(void* argument) {
  (void)argument;
  printf("buffered");
  usleep(1000);
  exit(57);
}

int main(void) {
  CHECK_RC(atexit(first));
  CHECK_RC(atexit(second));
  for (int i = 0; i < 5; ++i) start_thread(blocks, NULL);
  printf("main\n");
  pthread_join(start_thread(exits, NULL), NULL);
  return 1;
}
