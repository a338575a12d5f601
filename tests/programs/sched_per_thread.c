// Affinity, class, nice value, I/O priority and timer slack belong to each thread: what one sets no
// other has, new threads and processes inherit it, and the kernel judges what may be set.
#include <sys/prctl.h>
#include <sys/resource.h>

#include "check.h"

static sem_t ready, stop;
static pid_t tid;

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static void set_one(cpu_set_t* set, int cpu) {
  CPU_ZERO(set);
  CPU_SET(cpu, set);
}

static int nice_of(pid_t id) {
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, (id_t)id);
  CHECK_EQ(0, errno);
  return nice;
}

static void* waits(void* argument) {
  tid = gettid();
  CHECK_OK(sem_post(&ready));
  sem_take(&stop);
  return argument;
}

static cpu_set_t possible;
static int first_cpu, last_cpu;

static void* has_first(void* argument) {
  cpu_set_t mine;
  CHECK_OK(sched_getaffinity(0, sizeof mine, &mine));
  CHECK(CPU_COUNT(&mine) == 1 && CPU_ISSET(first_cpu, &mine));
  return argument;
}

static void* sets_affinity(void* argument) {
  cpu_set_t mine, seen;
  set_one(&mine, first_cpu);
  CHECK_OK(sched_setaffinity(0, sizeof mine, &mine));
  has_first(NULL);
  join_thread(start_thread(has_first, NULL));
  CHECK_OK(sched_getaffinity(getpid(), sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &possible));
  CHECK_OK(sched_getaffinity(tid, sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &possible));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    has_first(NULL);
    _exit(0);
  }
  CHECK_EQ(0, wait_status(child));
  set_one(&mine, last_cpu);
  CHECK_OK(sched_setaffinity(gettid(), sizeof mine, &mine));
  CHECK_OK(sched_getaffinity(gettid(), sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &mine));
  // Of the cores asked for, those that exist count.
  memset(&mine, 0xff, sizeof mine);
  CHECK_OK(sched_setaffinity(0, sizeof mine, &mine));
  CHECK_OK(sched_getaffinity(0, sizeof seen, &seen));
  CHECK(CPU_EQUAL(&seen, &possible));
  CPU_ZERO(&mine);
  CHECK_ERRNO(EINVAL, sched_setaffinity(0, sizeof mine, &mine));
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &possible)) CPU_SET(i, &mine);
  }
  CHECK_ERRNO(EINVAL, sched_setaffinity(0, sizeof mine, &mine));
  CHECK_ERRNO(EFAULT, syscall(SYS_sched_setaffinity, 0, sizeof mine, (void*)1));
  CHECK_ERRNO(EFAULT, syscall(SYS_sched_getaffinity, 0, sizeof mine, (void*)8));
  CHECK_ERRNO(EINVAL, syscall(SYS_sched_getaffinity, 0, 0, &mine));
  CHECK_ERRNO(EINVAL, syscall(SYS_sched_getaffinity, 0, 9, &mine));
  CHECK_ERRNO(ESRCH, sched_setaffinity(0x3fffffff, sizeof seen, &seen));
  return argument;
}

static void* has_batch(void* argument) {
  CHECK_EQ(SCHED_BATCH, sched_getscheduler(0));
  return argument;
}

static void* has_other(void* argument) {
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(0));
  return argument;
}

static void* sets_class(void* argument) {
  struct sched_param param = {0};
  struct attributes attributes;
  CHECK_OK(sched_setscheduler(0, SCHED_BATCH, &param));
  CHECK_EQ(SCHED_BATCH, sched_getscheduler(gettid()));
  join_thread(start_thread(has_batch, NULL));
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(tid));
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(getpid()));
  CHECK_OK(sched_setparam(0, &param));
  param.sched_priority = 1;
  CHECK_ERRNO(EINVAL, sched_setparam(0, &param));
  CHECK_ERRNO(EINVAL, sched_setscheduler(0, SCHED_OTHER, &param));
  param.sched_priority = 100;
  CHECK_ERRNO(EINVAL, sched_setscheduler(0, SCHED_FIFO, &param));
  CHECK_ERRNO(EINVAL, sched_setscheduler(0, 77, &param));
  CHECK_ERRNO(EINVAL, sched_setscheduler(0, SCHED_OTHER, NULL));
  CHECK_ERRNO(EINVAL, sched_getparam(0, NULL));
  CHECK_ERRNO(EFAULT, syscall(SYS_sched_setparam, 0, (void*)8));
  CHECK_ERRNO(EFAULT, syscall(SYS_sched_getparam, 0, (void*)8));
  CHECK_EQ(SCHED_BATCH, sched_getscheduler(0));

  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  attributes.nice = 7;
  CHECK_OK(syscall(SYS_sched_setattr, 0, &attributes, 0));
  CHECK_EQ(7, nice_of(0));
  memset(&attributes, 0xee, sizeof attributes);
  CHECK_OK(syscall(SYS_sched_getattr, gettid(), &attributes, sizeof attributes, 0));
  CHECK_EQ(SCHED_OTHER, attributes.policy);
  CHECK_EQ(7, attributes.nice);
  CHECK_EQ(0, attributes.priority);
  CHECK_EQ(0, nice_of(tid));
  CHECK_ERRNO(EINVAL, syscall(SYS_sched_getattr, 0, &attributes, 8, 0));
  CHECK_ERRNO(EINVAL, syscall(SYS_sched_setattr, 0, NULL, 0));
  CHECK_ERRNO(EFAULT, syscall(SYS_sched_setattr, 0, (void*)8, 0));

  // Not everybody may: then nobody has it.
  param.sched_priority = 3;
  errno = 0;
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0) {
    CHECK_EQ(SCHED_RR | SCHED_RESET_ON_FORK, sched_getscheduler(0));
    CHECK_OK(sched_getparam(0, &param));
    CHECK_EQ(3, param.sched_priority);
    join_thread(start_thread(has_other, NULL));
  } else {
    CHECK_EQ(EPERM, errno);
    CHECK_EQ(SCHED_OTHER, sched_getscheduler(0));
  }
  CHECK_EQ(SCHED_OTHER, sched_getscheduler(tid));
  return argument;
}

static void* has_nice_5(void* argument) {
  CHECK_EQ(5, nice_of(0));
  return argument;
}

static void* sets_nice(void* argument) {
  CHECK_OK(setpriority(PRIO_PROCESS, 0, 4));
  CHECK_EQ(4, nice_of(gettid()));
  CHECK_EQ(0, nice_of(tid));
  CHECK_EQ(0, nice_of(getpid()));
  CHECK_OK(setpriority(PRIO_PROCESS, (id_t)gettid(), 5));
  join_thread(start_thread(has_nice_5, NULL));
  CHECK_OK(setpriority(PRIO_PROCESS, (id_t)tid, 6));
  CHECK_EQ(6, nice_of(tid));
  CHECK_EQ(5, nice_of(0));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    has_nice_5(NULL);
    _exit(0);
  }
  CHECK_EQ(0, wait_status(child));
  errno = 0;
  int rc = setpriority(PRIO_PROCESS, 0, -20);
  CHECK(rc == 0 || errno == EACCES);
  CHECK_EQ(rc == 0 ? -20 : 5, nice_of(0));
  CHECK_OK(setpriority(PRIO_PROCESS, 0, 1000));
  CHECK_EQ(19, nice_of(0));
  CHECK_ERRNO(EINVAL, setpriority(99, 0, 0));
  CHECK_ERRNO(ESRCH, setpriority(PRIO_PROCESS, 0x3fffffff, 0));
  return argument;
}

enum { kIdleClass = 3 << 13 };

static void* sets_others(void* argument) {
  int old = (int)syscall(SYS_ioprio_get, 1, 0);
  CHECK_OK(old);
  CHECK_OK(syscall(SYS_ioprio_set, 1, 0, kIdleClass));
  CHECK_EQ(kIdleClass, syscall(SYS_ioprio_get, 1, 0));
  CHECK_EQ(kIdleClass, syscall(SYS_ioprio_get, 1, gettid()));
  CHECK_EQ(old, syscall(SYS_ioprio_get, 1, getpid()));
  CHECK_ERRNO(EINVAL, syscall(SYS_ioprio_set, 1, 0, 5 << 13));

  int slack = prctl(PR_GET_TIMERSLACK);
  CHECK(slack > 0);
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 123456));
  CHECK_EQ(123456, prctl(PR_GET_TIMERSLACK));
  CHECK_OK(prctl(PR_SET_TIMERSLACK, 0));
  CHECK_EQ(slack, prctl(PR_GET_TIMERSLACK));
  return argument;
}

int main(void) {
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK_OK(sem_init(&stop, 0, 0));
  CHECK_OK(sched_getaffinity(0, sizeof possible, &possible));
  for (first_cpu = 0; !CPU_ISSET(first_cpu, &possible);) ++first_cpu;
  for (last_cpu = CPU_SETSIZE - 1; !CPU_ISSET(last_cpu, &possible);) --last_cpu;
  pthread_t thread = start_thread(waits, NULL);
  sem_take(&ready);

  join_thread(start_thread(sets_affinity, NULL));
  pass("affinity");
  join_thread(start_thread(sets_class, NULL));
  pass("scheduling class");
  join_thread(start_thread(sets_nice, NULL));
  pass("nice value");
  join_thread(start_thread(sets_others, NULL));
  pass("I/O priority and timer slack");

  CHECK_OK(sem_post(&stop));
  join_thread(thread);

  // The last thread: what it sets is the process's.
  cpu_set_t one, seen;
  set_one(&one, first_cpu);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  CHECK_OK(sched_getaffinity(getpid(), sizeof seen, &seen));
  CHECK(CPU_EQUAL(&one, &seen));
  join_thread(start_thread(has_first, NULL));
  CHECK_OK(sched_setaffinity(0, sizeof possible, &possible));
  CHECK_OK(sched_getaffinity(0, sizeof seen, &seen));
  CHECK(CPU_EQUAL(&possible, &seen));
  pass("affinity of the only thread");
  return 0;
}
