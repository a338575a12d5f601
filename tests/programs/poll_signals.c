// ppoll, pselect and epoll_pwait change the signal mask for the wait only: a signal that is blocked
// otherwise interrupts them, and the mask is back afterwards.
#include <sys/epoll.h>
#include <sys/select.h>

#include "check.h"

static int ends[2], epoll_fd;
static volatile sig_atomic_t handled;
static sem_t entered;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static int by_ppoll(const struct timespec* t, const sigset_t* mask) {
  struct pollfd p = {ends[0], POLLIN, 0};
  return ppoll(&p, 1, t, mask);
}

static int by_pselect(const struct timespec* t, const sigset_t* mask) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  return pselect(ends[0] + 1, &set, NULL, NULL, t, mask);
}

static int by_epoll_pwait(const struct timespec* t, const sigset_t* mask) {
  struct epoll_event event;
  return epoll_pwait(epoll_fd, &event, 1, (int)(to_ns(*t) / 1000000), mask);
}

static int by_epoll_pwait2(const struct timespec* t, const sigset_t* mask) {
  struct epoll_event event;
  return epoll_pwait2(epoll_fd, &event, 1, t, mask);
}

static void check_mask(int blocked) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  CHECK_EQ(blocked, sigismember(&now, SIGUSR1));
}

static void* body(void* argument) {
  int (*wait)(const struct timespec*, const sigset_t*) =
      *(int (**)(const struct timespec*, const sigset_t*))argument;
  sigset_t set, open_mask;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, &open_mask));
  sigdelset(&open_mask, SIGUSR1);
  struct timespec limit = from_ns(MS(kBoundMs)), zero = {0, 0};

  // Pending before the wait: delivered at once, even with something to wait for.
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
  CHECK_EQ(0, handled);
  CHECK_ERRNO(EINTR, wait(&limit, &open_mask));
  CHECK_EQ(1, handled);
  check_mask(1);

  // Sent while waiting.
  CHECK_OK(sem_post(&entered));
  CHECK_ERRNO(EINTR, wait(&limit, &open_mask));
  CHECK_EQ(2, handled);
  check_mask(1);

  // Kept out by the mask of the wait.
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
  CHECK_EQ(0, wait(&zero, &set));
  struct timespec soon = from_ns(MS(10));
  CHECK_EQ(0, wait(&soon, NULL));
  CHECK_EQ(2, handled);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  CHECK_EQ(3, handled);
  CHECK_EQ(0, wait(&zero, &set));
  check_mask(0);
  return NULL;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&entered, 0, 0));
  epoll_fd = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event));
  // With SA_RESTART, which these calls do not heed.
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));

  int (*waits[])(const struct timespec*, const sigset_t*) = {by_ppoll, by_pselect, by_epoll_pwait,
                                                             by_epoll_pwait2};
  const char* names[] = {"ppoll", "pselect", "epoll_pwait", "epoll_pwait2"};
  for (int i = 0; i < 4; ++i) {
    handled = 0;
    pthread_t thread = start_thread(body, &waits[i]);
    sem_take(&entered);
    if (i % 2) settle();
    CHECK_RC(pthread_kill(thread, SIGUSR1));  // blocked until the wait: no race
    join_thread(thread);
    pass(names[i]);
  }
  return 0;
}
