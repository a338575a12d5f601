// Whatever belongs to a thread stays with it through every kind of wait: thread-locals of the
// program and of the C library, errno, specific data, its identity, its stack, its floating-point
// mode.
#include <fenv.h>
#include <locale.h>

#include "check.h"

enum { kThreads = 16, kRounds = 400 };

static __thread int mine;
static __thread char block[4096];
static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int ends[2];
static int shared;

static void check_all(intptr_t id, pthread_t self, const int* address, locale_t locale, int mode,
                      int error) {
  CHECK_EQ(error, errno);
  CHECK_EQ(id, mine);
  CHECK_EQ((char)id, block[sizeof block - 1]);
  CHECK(address == &mine);
  CHECK(pthread_equal(self, pthread_self()));
  CHECK_EQ(id, (intptr_t)pthread_getspecific(key));
  CHECK(uselocale((locale_t)0) == locale);
  CHECK_EQ(mode, fegetround());
}

static void* moves(void* argument) {
  static const int kModes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  const intptr_t id = (intptr_t)argument;
  const pthread_t self = pthread_self();
  const int mode = kModes[id % 4];
  const locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  CHECK(locale != (locale_t)0);
  uselocale(locale);
  CHECK_EQ(0, fesetround(mode));
  mine = (int)id;
  memset(block, (int)id, sizeof block);
  CHECK_EQ(0, pthread_setspecific(key, argument));
  const pid_t tid = gettid();
  char stack[512];
  memset(stack, (int)id, sizeof stack);
  for (int round = 0; round < kRounds; ++round) {
    const int error = 1 + (int)id;
    errno = error;
    char c = 'c';
    switch ((round + id) % 5) {
      case 0:
        sched_yield();
        break;
      case 1:
        pthread_mutex_lock(&mutex);
        ++shared;
        pthread_mutex_unlock(&mutex);
        break;
      case 2:
        CHECK_EQ(1, write(ends[1], &c, 1));
        CHECK_EQ(1, read(ends[0], &c, 1));
        break;
      case 3:
        usleep(100);
        break;
      default:
        for (volatile int i = 0; i < 20000; ++i) {
        }
        break;
    }
    check_all(id, self, &mine, locale, mode, error);
    CHECK_EQ(tid, gettid());
    for (size_t i = 0; i < sizeof stack; ++i) CHECK_EQ((char)id, stack[i]);
  }
  uselocale(LC_GLOBAL_LOCALE);
  freelocale(locale);
  return argument;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_EQ(0, pthread_key_create(&key, NULL));
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(moves, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(kThreads * kRounds / 5, shared);
  pass("threads keep what is theirs");
  return 0;
}
