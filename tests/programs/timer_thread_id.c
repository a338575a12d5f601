// A timer whose signal goes to one thread, named by its thread id.
#include "check.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static __thread volatile sig_atomic_t handled;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* is_notified(void* argument) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
  event.sigev_notify_thread_id = gettid();
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec t = {from_ns(MS(3)), from_ns(MS(3))};
  int64_t begin = mono_ns();
  CHECK_OK(timer_settime(timer, 0, &t, NULL));
  while (handled < 5) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(1000);
  }
  CHECK(mono_ns() - begin >= MS(14));
  CHECK_OK(timer_delete(timer));
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(is_notified, NULL);
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  CHECK_EQ(0, handled);
  pass("each thread gets its own");
  return 0;
}
