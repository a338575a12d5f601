// A signalfd shows each thread the signals that were sent to it, and to the process; to no other
// thread: by read, poll, select and epoll, whether they find it or wait for it.
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/uio.h>

#include "check.h"

static int fd;
static volatile sig_atomic_t handled;

static void count_it(int signal) {
  (void)signal;
  ++handled;
}

static short polled(int descriptor, int timeout_ms) {
  struct pollfd p = {descriptor, POLLIN, 0};
  int n = poll(&p, 1, timeout_ms);
  CHECK(n == 0 || n == 1);
  return n == 1 ? p.revents : 0;
}

static struct signalfd_siginfo take(void) {
  struct signalfd_siginfo info;
  CHECK_EQ(sizeof info, read(fd, &info, sizeof info));
  return info;
}

static void* sees_nothing(void* argument) {
  struct signalfd_siginfo info;
  CHECK_EQ(0, polled(fd, 0));
  CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, read(fd, &info, sizeof info));
  CHECK_OK(fcntl(fd, F_SETFL, 0));
  return argument;
}

static int make_set(int member, uint32_t events, uint64_t data) {
  int set = epoll_create1(EPOLL_CLOEXEC);
  CHECK_OK(set);
  struct epoll_event event = {.events = events, .data.u64 = data};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, member, &event));
  return set;
}

static void found(void) {
  int set = make_set(fd, EPOLLIN, 0x1234567890abcdef);
  CHECK_EQ(0, polled(fd, 0));
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
  join_thread(start_thread(sees_nothing, NULL));
  CHECK_EQ(POLLIN, polled(fd, 0));
  CHECK_EQ(POLLIN, polled(set, 0));
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(fd, &readable);
  CHECK_EQ(1, select(fd + 1, &readable, NULL, NULL, NULL));
  CHECK(FD_ISSET(fd, &readable));
  struct epoll_event events[2];
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(1, epoll_wait(set, events, 2, 0));
    CHECK_EQ(EPOLLIN, events[0].events);
    CHECK(events[0].data.u64 == 0x1234567890abcdef);
  }
  struct signalfd_siginfo info = take();
  CHECK_EQ(SIGUSR1, info.ssi_signo);
  CHECK_EQ(SI_TKILL, info.ssi_code);
  CHECK_EQ(getpid(), info.ssi_pid);
  CHECK_EQ(getuid(), info.ssi_uid);
  CHECK_EQ(0, polled(fd, 0));
  CHECK_EQ(0, epoll_wait(set, events, 2, 0));
  CHECK_OK(close(set));
}

static void by_edge(void) {
  struct epoll_event event;
  int edge = make_set(fd, EPOLLIN | EPOLLET, 1);
  int once = make_set(fd, EPOLLIN | EPOLLONESHOT, 2);
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(1, epoll_wait(edge, &event, 1, 0));
  CHECK_EQ(0, epoll_wait(edge, &event, 1, 0));
  CHECK_EQ(1, epoll_wait(once, &event, 1, 0));
  CHECK_EQ(0, epoll_wait(once, &event, 1, 0));
  take();
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(1, epoll_wait(edge, &event, 1, 0));
  CHECK_EQ(0, epoll_wait(once, &event, 1, 0));
  event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 3};
  CHECK_OK(epoll_ctl(once, EPOLL_CTL_MOD, fd, &event));
  CHECK_EQ(1, epoll_wait(once, &event, 1, 0));
  CHECK_EQ(3, event.data.u64);
  take();
  CHECK_OK(close(edge));
  CHECK_OK(close(once));
}

// Several in one read: those of the thread first, then those of the process.
static void several(void) {
  CHECK_OK(kill(getpid(), SIGUSR1));
  union sigval value = {.sival_int = 77};
  CHECK_RC(pthread_sigqueue(pthread_self(), SIGRTMIN + 1, value));
  CHECK_RC(pthread_sigqueue(pthread_self(), SIGRTMIN + 1, value));
  struct signalfd_siginfo infos[4];
  struct iovec parts[2] = {{infos, 200}, {(char*)infos + 200, sizeof infos - 200}};
  CHECK_EQ(3 * sizeof infos[0], readv(fd, parts, 2));
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(SIGRTMIN + 1, infos[i].ssi_signo);
    CHECK_EQ(SI_QUEUE, infos[i].ssi_code);
    CHECK_EQ(77, infos[i].ssi_int);
    CHECK_EQ(getpid(), infos[i].ssi_pid);
  }
  CHECK_EQ(SIGUSR1, infos[2].ssi_signo);
  CHECK_EQ(SI_USER, infos[2].ssi_code);
  char little[100];
  CHECK_OK(raise(SIGUSR1));
  CHECK_ERRNO(EINVAL, read(fd, little, sizeof little));
  int copy = dup(fd);
  CHECK_OK(copy);
  CHECK_EQ(sizeof infos[0], read(copy, infos, sizeof infos));
  CHECK_OK(close(copy));
}

static void asked_for_others(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK_EQ(fd, signalfd(fd, &set, 0));
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(0, polled(fd, 0));
  sigaddset(&set, SIGUSR1);
  CHECK_EQ(fd, signalfd(fd, &set, 0));
  CHECK_EQ(POLLIN, polled(fd, 0));
  take();
}

enum how { kRead, kPoll, kSelect, kEpoll, kNestedEpoll, kEdge, kWays };
static pid_t waiter_tid;
static sem_t done;

static void* waits(void* argument) {
  int way = *(int*)argument;
  struct epoll_event event;
  int set = make_set(fd, way == kEdge ? EPOLLIN | EPOLLET : EPOLLIN, 5);
  int outer = make_set(set, EPOLLIN, 6);
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(fd, &readable);
  __atomic_store_n(&waiter_tid, gettid(), __ATOMIC_SEQ_CST);
  for (int i = 0; i < 3; ++i) {
    switch (way) {
      case kRead:
        break;
      case kPoll:
        CHECK_EQ(POLLIN, polled(fd, kBoundMs));
        break;
      case kSelect:
        CHECK_EQ(1, select(fd + 1, &readable, NULL, NULL, NULL));
        break;
      case kEpoll:
      case kEdge:
        CHECK_EQ(1, epoll_wait(set, &event, 1, kBoundMs));
        CHECK_EQ(5, event.data.u64);
        break;
      case kNestedEpoll:
        CHECK_EQ(1, epoll_wait(outer, &event, 1, kBoundMs));
        CHECK_EQ(6, event.data.u64);
        break;
    }
    CHECK_EQ(SIGUSR1, take().ssi_signo);
    CHECK_OK(sem_post(&done));
  }
  CHECK_OK(close(set));
  CHECK_OK(close(outer));
  return NULL;
}

static void waited_for(void) {
  for (int way = 0; way < kWays; ++way) {
    pthread_t thread = start_thread(waits, &way);
    settle_blocked(&waiter_tid);
    for (int i = 0; i < 3; ++i) {
      CHECK_RC(pthread_kill(thread, SIGUSR1));
      sem_take(&done);
      if (i == 0) settle();
    }
    join_thread(thread);
  }
}

// What is let through for the time of the call is readable first, and no handler runs.
static void let_through(void) {
  sigset_t none;
  sigemptyset(&none);
  CHECK_OK(kill(getpid(), SIGUSR1));
  struct pollfd p = {fd, POLLIN, 0};
  CHECK_EQ(1, ppoll(&p, 1, NULL, &none));
  CHECK_EQ(POLLIN, p.revents);
  CHECK_EQ(0, handled);
  int set = make_set(fd, EPOLLIN, 5);
  struct epoll_event event;
  CHECK_EQ(1, epoll_pwait(set, &event, 1, kBoundMs, &none));
  CHECK_EQ(0, handled);
  CHECK_OK(close(set));
  CHECK_EQ(SIGUSR1, take().ssi_signo);
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_ERRNO(EINTR, ppoll(NULL, 0, NULL, &none));
  CHECK_EQ(1, handled);
  CHECK_EQ(0, polled(fd, 0));
}

static volatile int stop;

static void* pesters(void* argument) {
  while (!stop) {
    CHECK_RC(pthread_kill(*(pthread_t*)argument, SIGUSR1));
    sched_yield();
  }
  return NULL;
}

// Signals that the thread does not look at neither end its waits nor make them longer.
static void undisturbed(void) {
  int pair[2];
  CHECK_OK(pipe(pair));
  pthread_t self = pthread_self();
  int set = make_set(pair[0], EPOLLIN, 5);
  struct epoll_event event;
  stop = 0;
  pthread_t other = start_thread(pesters, &self);
  int64_t begin = mono_ns();
  CHECK_EQ(0, polled(pair[0], 50));
  CHECK_EQ(0, epoll_wait(set, &event, 1, 50));
  CHECK_BETWEEN(MS(100), mono_ns() - begin, MS(kBoundMs));
  stop = 1;
  join_thread(other);
  CHECK_EQ(SIGUSR1, take().ssi_signo);
  CHECK_EQ(0, polled(fd, 0));
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
  CHECK_OK(close(set));
}

static void of_timer(void) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};
  event._sigev_un._tid = gettid();
  event.sigev_value.sival_int = 19;
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec period = {from_ns(MS(3)), from_ns(MS(3))};
  CHECK_OK(timer_settime(timer, 0, &period, NULL));
  usleep(60000);
  CHECK_EQ(POLLIN, polled(fd, kBoundMs));
  struct signalfd_siginfo info = take();
  CHECK_EQ(SIGRTMIN + 1, info.ssi_signo);
  CHECK_EQ(SI_TIMER, info.ssi_code);
  CHECK_EQ(19, info.ssi_int);
  CHECK(info.ssi_overrun >= 9);
  CHECK_EQ(info.ssi_overrun, timer_getoverrun(timer));
  CHECK_OK(timer_delete(timer));
}

int main(void) {
  CHECK(signal(SIGUSR1, count_it) != SIG_ERR);
  CHECK_OK(sem_init(&done, 0, 0));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  be_threaded();
  fd = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK_OK(fd);
  found();
  pass("found by the thread, and by no other");
  by_edge();
  pass("by edge and once");
  several();
  pass("several in one read");
  asked_for_others();
  pass("asked for other signals");
  waited_for();
  pass("waited for");
  let_through();
  pass("let through for a call");
  undisturbed();
  pass("other waits go on");
  of_timer();
  pass("a timer's");
  return 0;
}
