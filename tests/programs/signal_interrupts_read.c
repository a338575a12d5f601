// A signal sent to a thread that is blocked in read interrupts it with EINTR, or, under
// SA_RESTART, runs the handler in that thread and leaves it reading.
#include "check.h"

static int ends[2];
static sem_t interrupted;
static volatile sig_atomic_t handled;
static volatile pthread_t handled_by;

static void on_signal(int number) {
  (void)number;
  ++handled;
  handled_by = pthread_self();
}

static void install(int flags) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
}

static void* reads_until_interrupted(void* argument) {
  char c;
  ssize_t n = read(ends[0], &c, 1);
  CHECK_EQ(-1, n);
  CHECK_EQ(EINTR, errno);
  CHECK(handled > 0);
  CHECK(pthread_equal(handled_by, pthread_self()));
  CHECK_OK(sem_post(&interrupted));
  return argument;
}

static void* reads_a_byte(void* argument) {
  char c = 0;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_EQ('r', c);
  return argument;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&interrupted, 0, 0));

  install(0);
  pthread_t thread = start_thread(reads_until_interrupted, NULL);
  // A signal that comes before the read only runs the handler: send until the read was hit.
  for (int i = 0;; ++i) {
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(20));
    if (sem_clockwait(&interrupted, CLOCK_MONOTONIC, &deadline) == 0) break;
    CHECK(i < kBoundMs / 20);
  }
  join_thread(thread);
  pass("EINTR without SA_RESTART");

  install(SA_RESTART);
  handled = 0;
  thread = start_thread(reads_a_byte, NULL);
  for (int i = 1; i <= 10; ++i) {
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    for (int k = 0; handled < i; ++k) {
      CHECK(k < kBoundMs);
      usleep(1000);
    }
  }
  CHECK(pthread_equal(handled_by, thread));
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  CHECK_EQ(1, write(ends[1], "r", 1));
  join_thread(thread);
  CHECK_EQ(10, handled);
  pass("restarted under SA_RESTART");
  return 0;
}
