// The child of vfork uses far more of the stack that it shares with its parent than the parent has
// in use, before it ends.
#include "check.h"

__attribute__((noinline)) static int fills_stack(size_t bytes) {
  volatile char frame[bytes];
  for (size_t i = 0; i < bytes; ++i) frame[i] = (char)0x5a;
  return frame[bytes / 2];
}

static volatile size_t size;

static void* makes_children(void* argument) {
  for (size = 256; size <= 128 * 1024; size *= 2) {
    const pid_t child = vfork();
    if (child == 0) _exit(fills_stack(size) == 0x5a ? 7 : 1);
    CHECK_OK(child);
    CHECK_EXITED(7, child);
  }
  return argument;
}

int main(void) {
  join_thread(start_thread(makes_children, NULL));
  pass("children with deep stacks");
  return 0;
}
