// A POSIX timer has one signal pending at most, whoever is late to take it: what expires meanwhile
// is counted, and told with that signal and by timer_getoverrun until the next.
#include "check.h"

enum { kMost = 8 };
static const int64_t kInterval = MS(3);
static const int64_t kWhile = MS(120);

static volatile sig_atomic_t handled;
static struct { int code, value, overruns, told; } seen[kMost];
static timer_t timers[2];

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  if (handled < kMost) {
    int which = info->si_value.sival_int;
    seen[handled].code = info->si_code;
    seen[handled].value = which;
    seen[handled].overruns = info->si_overrun;
    if (info->si_code == SI_TIMER) seen[handled].told = timer_getoverrun(timers[which]);
  }
  ++handled;
}

static void set_timer(timer_t timer, int64_t first, int64_t interval) {
  struct itimerspec t = {from_ns(interval), from_ns(first)};
  CHECK_OK(timer_settime(timer, 0, &t, NULL));
}

static void sleep_until(int64_t end) {
  struct timespec t = from_ns(end);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
  }
}

// A count that could not be read off a clock: the machine may be busy.
static void check_overruns(int overruns, int64_t armed, int64_t taken) {
  int64_t most = (taken - armed) / kInterval - 1;
  CHECK_BETWEEN(kWhile / kInterval / 2, overruns, most);
}

static void by_handler(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  handled = 0;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  int64_t armed = mono_ns();
  set_timer(timers[0], kInterval, kInterval);
  sleep_until(mono_ns() + kWhile);
  CHECK_EQ(0, handled);
  CHECK_EQ(0, timer_getoverrun(timers[0]));  // of the last that was delivered: none was
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  CHECK(handled > 0);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  int64_t taken = mono_ns();
  int sum = 0;
  for (int i = 0; i < handled && i < kMost; ++i) {
    CHECK_EQ(SI_TIMER, seen[i].code);
    CHECK_EQ(seen[i].overruns, seen[i].told);
    sum += seen[i].overruns + 1;
  }
  check_overruns(seen[0].overruns, armed, taken);
  CHECK(handled > kMost || sum <= (taken - armed) / kInterval);
  // More expires while it is blocked: that does not count yet.
  int last = handled;
  sleep_until(mono_ns() + 4 * kInterval);
  if (last <= kMost) CHECK_EQ(seen[last - 1].told, timer_getoverrun(timers[0]));
  set_timer(timers[0], 0, 0);
  CHECK_EQ(0, timer_getoverrun(timers[0]));
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

// Each of two timers has one, even if both send the same standard signal.
static void by_two(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  handled = 0;
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  CHECK_OK(kill(getpid(), SIGALRM));
  for (int i = 0; i < 2; ++i) set_timer(timers[i], MS(1), 0);
  sleep_until(mono_ns() + MS(30));
  CHECK_OK(kill(getpid(), SIGALRM));  // a standard signal, pending already
  siginfo_t info;
  struct timespec none = {0, 0};
  int of_timer[2] = {0, 0};
  int sent = 0;
  while (sigtimedwait(&set, &info, &none) > 0) {
    if (info.si_code == SI_TIMER) {
      ++of_timer[info.si_value.sival_int];
      CHECK_EQ(0, info.si_overrun);
    } else {
      CHECK_EQ(SI_USER, info.si_code);
      ++sent;
    }
  }
  CHECK_EQ(1, sent);
  CHECK_EQ(1, of_timer[0]);
  CHECK_EQ(1, of_timer[1]);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  CHECK_EQ(0, handled);
}

// Nothing is done for it by default, but it is delivered.
static void by_default(void) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCONT);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  int64_t armed = mono_ns();
  struct itimerspec t = {from_ns(MS(20)), from_ns(MS(1))};
  CHECK_OK(timer_settime(timer, 0, &t, NULL));
  sleep_until(armed + MS(95));
  CHECK_EQ(0, timer_getoverrun(timer));
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  CHECK_BETWEEN(2, timer_getoverrun(timer), (mono_ns() - armed) / MS(20));
  CHECK_OK(timer_delete(timer));
}

static sem_t is_there, may_take;
static pid_t waiter_tid;

static void* waits_itself(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  waiter_tid = gettid();
  CHECK_OK(sem_post(&is_there));
  sem_take(&may_take);
  siginfo_t info;
  struct timespec limit = {30, 0};
  CHECK_EQ(SIGRTMIN + 1, sigtimedwait(&set, &info, &limit));
  CHECK_EQ(SI_TIMER, info.si_code);
  *(int*)argument = info.si_overrun;
  return NULL;
}

static void by_thread(void) {
  CHECK_OK(sem_init(&is_there, 0, 0));
  CHECK_OK(sem_init(&may_take, 0, 0));
  int overruns = -1;
  pthread_t thread = start_thread(waits_itself, &overruns);
  sem_take(&is_there);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};
  event._sigev_un._tid = waiter_tid;
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  int64_t armed = mono_ns();
  set_timer(timer, kInterval, kInterval);
  sleep_until(mono_ns() + kWhile);
  CHECK_OK(sem_post(&may_take));
  join_thread(thread);
  check_overruns(overruns, armed, mono_ns());
  CHECK_EQ(overruns, timer_getoverrun(timer));
  CHECK_OK(timer_delete(timer));
}

int main(void) {
  be_threaded();
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timers[0]));
  by_handler(SIGRTMIN);
  pass("a real-time signal");
  CHECK_OK(timer_delete(timers[0]));
  CHECK_ERRNO(EINVAL, timer_getoverrun(timers[0]));

  event.sigev_signo = SIGALRM;
  for (int i = 0; i < 2; ++i) {
    event.sigev_value.sival_int = i;
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timers[i]));
  }
  by_handler(SIGALRM);
  pass("a standard signal");
  by_two();
  pass("two timers with one signal");
  by_default();
  pass("a signal without an action");
  by_thread();
  pass("a signal for one thread");

  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    be_threaded();
    CHECK_ERRNO(EINVAL, timer_getoverrun(timers[0]));
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("not in a child");
  return 0;
}
