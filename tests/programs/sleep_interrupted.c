// A sleep that is interrupted by a signal reports EINTR and the time that remains.
#include "check.h"

static volatile sig_atomic_t handled;
static sem_t entered;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

// What remains may exceed what was asked by the slack of the timer.
static void* nanosleeps(void* argument) {
  struct timespec t = from_ns(MS(60000)), left = {-1, -1};
  int64_t begin = mono_ns();
  CHECK_OK(sem_post(&entered));
  CHECK_ERRNO(EINTR, nanosleep(&t, &left));
  int64_t slept = mono_ns() - begin;
  CHECK(to_ns(left) > 0 && to_ns(left) <= MS(60001));
  CHECK(to_ns(left) + slept >= MS(60000));
  CHECK_EQ(60, t.tv_sec);
  return argument;
}

static void* clock_nanosleeps(void* argument) {
  struct timespec t = from_ns(MS(60000)), left = {-1, -1};
  CHECK_OK(sem_post(&entered));
  CHECK_EQ(EINTR, clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left));
  CHECK(to_ns(left) > 0 && to_ns(left) <= MS(60001));
  return argument;
}

static void* sleeps_until(void* argument) {
  struct timespec t = after_ns(CLOCK_MONOTONIC, MS(60000)), left = {-1, -1};
  CHECK_OK(sem_post(&entered));
  CHECK_EQ(EINTR, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, &left));
  CHECK_EQ(-1, left.tv_sec);  // left alone for an absolute time
  return argument;
}

static void* sleeps(void* argument) {
  CHECK_OK(sem_post(&entered));
  CHECK_BETWEEN(1, sleep(60), 60);
  return argument;
}

static void* sleeps_again_and_again(void* argument) {
  struct timespec left = from_ns(MS(50));
  int64_t begin = mono_ns();
  CHECK_OK(sem_post(&entered));
  while (nanosleep(&left, &left) == -1) CHECK_EQ(EINTR, errno);
  CHECK_BETWEEN(MS(50), mono_ns() - begin, MS(10000));
  return argument;
}

static void interrupt(const char* name, void* (*body)(void*), int flags) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  // The first signal may come just before the sleep begins, so keep sending.
  pthread_t thread = start_thread(body, NULL);
  sem_take(&entered);
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    usleep(2000);
  }
  pass(name);
}

int main(void) {
  CHECK_OK(sem_init(&entered, 0, 0));
  interrupt("nanosleep", nanosleeps, 0);
  interrupt("nanosleep under SA_RESTART", nanosleeps, SA_RESTART);
  interrupt("clock_nanosleep", clock_nanosleeps, 0);
  interrupt("clock_nanosleep with an absolute time", sleeps_until, 0);
  interrupt("sleep", sleeps, 0);
  interrupt("continued with what remained", sleeps_again_and_again, 0);
  CHECK(handled > 0);
  return 0;
}
