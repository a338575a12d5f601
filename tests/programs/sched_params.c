// Scheduling parameters and affinity of the thread itself and of others, by pthread functions and
// by thread id.
#include "check.h"

static sem_t ready, stop;
static pid_t tid;

static void check_own(void) {
  int policy = -1;
  struct sched_param param;
  cpu_set_t cpus;
  CHECK_RC(pthread_getschedparam(pthread_self(), &policy, &param));
  CHECK_EQ(SCHED_OTHER, policy);
  CHECK_EQ(0, param.sched_priority);
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(0));
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(gettid()));
  CHECK_RC(pthread_setschedparam(pthread_self(), SCHED_OTHER, &param));
  CHECK_RC(pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus));
  CHECK(CPU_COUNT(&cpus) > 0);
  CHECK(sched_getcpu() >= 0);
}

static void* waits(void* argument) {
  check_own();
  tid = gettid();
  CHECK_OK(sem_post(&ready));
  sem_take(&stop);
  return argument;
}

int main(void) {
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK_OK(sem_init(&stop, 0, 0));
  pthread_t thread = start_thread(waits, NULL);
  sem_take(&ready);
  check_own();
  pass("its own");

  int policy = -1;
  struct sched_param param;
  cpu_set_t cpus, own;
  CHECK_RC(pthread_getschedparam(thread, &policy, &param));
  CHECK_EQ(SCHED_OTHER, policy);
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(tid));
  CHECK_OK(sched_getparam(tid, &param));
  CHECK_EQ(0, param.sched_priority);
  CHECK_RC(pthread_setschedparam(thread, SCHED_OTHER, &param));
  CHECK_RC(pthread_getaffinity_np(thread, sizeof cpus, &cpus));
  CHECK_OK(sched_getaffinity(0, sizeof own, &own));
  CHECK(CPU_EQUAL(&cpus, &own));
  CHECK_RC(pthread_setaffinity_np(thread, sizeof cpus, &cpus));
  CHECK_EQ(EINVAL, pthread_setschedparam(thread, 12345, &param));
  CHECK_ERRNO(ESRCH, sched_getscheduler(0x3fffffff));
  pass("another thread's");

  CHECK_OK(sem_post(&stop));
  join_thread(thread);
  return 0;
}
