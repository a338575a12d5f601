// longjmp goes back in its own thread, over calls that blocked meanwhile, and sigsetjmp restores
// the signal mask. Compiled with _FORTIFY_SOURCE, so that the checked longjmp is used.
#include <setjmp.h>

#include "check.h"

enum { kThreads = 20, kRounds = 50 };

static int ends[kThreads][2];

static void jump_from_depth(jmp_buf where, int depth, int id, int value) {
  volatile char frame[256];
  frame[0] = (char)depth;
  char c = 'x';
  CHECK_EQ(1, write(ends[id][1], &c, 1));
  CHECK_EQ(1, read(ends[id][0], &c, 1));
  usleep(1);
  if (depth == 0 && value != 0) longjmp(where, value);
  if (depth > 0) jump_from_depth(where, depth - 1, id, value);
  CHECK_EQ(depth, frame[0]);
}

static void* body(void* argument) {
  int id = (int)(intptr_t)argument;
  for (volatile int round = 0; round < kRounds; ++round) {
    jmp_buf where;
    volatile int passes = 0;
    int value = setjmp(where);
    if (value == 0) {
      ++passes;
      jump_from_depth(where, 5, id, 1000 * id + round + 1);
      FAIL("longjmp returned");
    }
    CHECK_EQ(1000 * id + round + 1, value);
    CHECK_EQ(1, passes);
  }
  return argument;
}

static void* with_mask(void* argument) {
  sigjmp_buf where;
  sigset_t set, now;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  for (int save = 0; save < 2; ++save) {
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    if (sigsetjmp(where, save) == 0) {
      CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
      usleep(100);
      siglongjmp(where, 1);
    }
    CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK_EQ(!save, sigismember(&now, SIGUSR1));
  }
  return argument;
}

static void* zero_becomes_one(void* argument) {
  jmp_buf where;
  int value = _setjmp(where);
  if (value == 0) _longjmp(where, 0);
  CHECK_EQ(1, value);
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) CHECK_OK(pipe(ends[i]));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("longjmp over blocking calls in many threads");
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(with_mask, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("siglongjmp restores the mask if it was saved");
  join_thread(start_thread(zero_becomes_one, NULL));
  pass("longjmp with 0 returns 1");
  return 0;
}
