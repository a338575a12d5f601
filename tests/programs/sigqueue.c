// Real-time signals are queued with their values: none is lost, the order is kept, lower numbers
// come first.
#include "check.h"

enum { kMany = 50 };

static volatile int values[200], numbers[200];
static volatile sig_atomic_t count;
static sem_t ready, go;

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)context;
  CHECK_EQ(SI_QUEUE, info->si_code);
  CHECK_EQ(getpid(), info->si_pid);
  numbers[count] = number;
  values[count] = info->si_value.sival_int;
  ++count;
}

static void block(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGRTMIN + 3);
  CHECK_RC(pthread_sigmask(how, &set, NULL));
}

static void queue_to_process(int number, int value) {
  CHECK_OK(sigqueue(getpid(), number, (union sigval){.sival_int = value}));
}

static void* receives(void* argument) {
  block(SIG_BLOCK);
  CHECK_OK(sem_post(&ready));
  sem_take(&go);
  CHECK_EQ(0, count);
  block(SIG_UNBLOCK);
  CHECK_EQ(2 * kMany, count);
  for (int i = 0; i < 2 * kMany; ++i) {
    CHECK_EQ(i < kMany ? SIGRTMIN : SIGRTMIN + 3, numbers[i]);
    CHECK_EQ(i % kMany, values[i]);
  }
  return argument;
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK_OK(sem_init(&go, 0, 0));
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  // The handler of the one keeps the other out, so that they are counted in the order of delivery.
  sigaddset(&action.sa_mask, SIGRTMIN);
  sigaddset(&action.sa_mask, SIGRTMIN + 3);
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  CHECK_OK(sigaction(SIGRTMIN + 3, &action, NULL));

  pthread_t thread = start_thread(receives, NULL);
  sem_take(&ready);
  for (int i = 0; i < kMany; ++i) {
    CHECK_RC(pthread_sigqueue(thread, SIGRTMIN + 3, (union sigval){.sival_int = i}));
    CHECK_RC(pthread_sigqueue(thread, SIGRTMIN, (union sigval){.sival_int = i}));
  }
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  pass("pthread_sigqueue");

  count = 0;
  block(SIG_BLOCK);
  for (int i = 0; i < kMany; ++i) queue_to_process(SIGRTMIN, i * 3);
  CHECK_EQ(0, count);
  block(SIG_UNBLOCK);
  CHECK_EQ(kMany, count);
  for (int i = 0; i < kMany; ++i) CHECK_EQ(i * 3, values[i]);
  pass("sigqueue to the process");

  count = 0;
  block(SIG_BLOCK);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGRTMIN + 3);
  queue_to_process(SIGRTMIN + 3, 1);
  queue_to_process(SIGRTMIN, 2);
  queue_to_process(SIGRTMIN, 3);
  int expected[] = {2, 3, 1};
  for (int i = 0; i < 3; ++i) {
    siginfo_t info;
    CHECK(sigwaitinfo(&set, &info) > 0);
    CHECK_EQ(expected[i], info.si_value.sival_int);
  }
  CHECK_EQ(0, count);
  pass("taken by sigwaitinfo");

  count = 0;
  block(SIG_UNBLOCK);
  queue_to_process(SIGRTMIN, 77);  // not blocked here: delivered before sigqueue returns
  CHECK_EQ(1, count);
  CHECK_EQ(77, values[0]);
  CHECK_ERRNO(EINVAL, sigqueue(getpid(), 65, (union sigval){0}));
  CHECK_EQ(EINVAL, pthread_sigqueue(pthread_self(), 65, (union sigval){0}));
  pass("to the caller");
  return 0;
}
