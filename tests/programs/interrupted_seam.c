// What a call that waits comes to when, meanwhile, its descriptor has been made non-blocking;
// signals of calls that other threads make for the runtime; and corners of select.
#include <fcntl.h>
#include <limits.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "check.h"

static int pair[2];
static volatile int interrupted, broken;
static sem_t begun;

static void on_usr1(int number) {
  (void)number;
  ++interrupted;
}

static void on_pipe(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  CHECK_EQ(SI_USER, info->si_code);
  CHECK_EQ(getpid(), info->si_pid);
  ++broken;
}

static void* receive(void* argument) {
  char c;
  CHECK_OK(sem_post(&begun));
  CHECK_ERRNO(EINTR, recv(pair[0], &c, 1, 0));
  CHECK_ERRNO(EAGAIN, recv(pair[0], &c, 1, 0));
  return argument;
}

static void* select_for_ever(void* argument) {
  struct timeval limit = {.tv_sec = LONG_MAX};
  CHECK_OK(sem_post(&begun));
  CHECK_ERRNO(EINTR, select(0, NULL, NULL, NULL, &limit));
  CHECK(limit.tv_sec > 1000);
  return argument;
}

static void interrupt(pthread_t thread) {
  const int before = interrupted;
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  while (interrupted == before) sched_yield();
}

int main(void) {
  struct sigaction action = {.sa_handler = on_usr1};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  action = (struct sigaction){.sa_sigaction = on_pipe, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  CHECK_OK(sem_init(&begun, 0, 0));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t thread;

  CHECK_RC(pthread_create(&thread, NULL, receive, NULL));
  sem_take(&begun);
  settle();
  CHECK_OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
  interrupt(thread);
  join_thread(thread);
  pass("a wait on what has become non-blocking");

  CHECK_RC(pthread_create(&thread, NULL, select_for_ever, NULL));
  sem_take(&begun);
  settle();
  interrupt(thread);
  join_thread(thread);
  pass("select's longest limit");

  int ends[2], others[2];
  CHECK_OK(pipe(ends));
  CHECK_OK(pipe(others));
  CHECK_EQ(1, write(others[1], "x", 1));
  CHECK_OK(close(ends[0]));
  struct iovec piece = {.iov_base = "y", .iov_len = 1};
  CHECK_ERRNO(EPIPE, vmsplice(ends[1], &piece, 1, 0));
  CHECK_EQ(1, broken);
  CHECK_ERRNO(EPIPE, splice(others[0], NULL, ends[1], NULL, 1, 0));
  CHECK_EQ(2, broken);
  pass("SIGPIPE of splices");

  const int path = open(".", O_PATH);
  CHECK(path >= 0);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(path, &set);
  struct timeval now = {0};
  const int ready = select(path + 1, &set, NULL, NULL, &now);  // 1 since Linux 5.17
  CHECK(ready == 0 || ready == 1);
  CHECK_EQ(ready, FD_ISSET(path, &set) != 0);
  CHECK_OK(close(path));
  FD_SET(path, &set);
  CHECK_ERRNO(EBADF, select(path + 1, &set, NULL, NULL, &now));
  pass("a descriptor that is a path only");
  return 0;
}
