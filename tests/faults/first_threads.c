// A little of everything, once: what a process does when its first threads come. Each step finds
// out whether it has done what it should.
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "tolerance.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void* take_turns(void* argument) {
  const int mine = (int)(intptr_t)argument;
  for (int i = 0; i < 5; ++i) {
    pthread_mutex_lock(&lock);
    while (turn != mine) pthread_cond_wait(&changed, &lock);
    turn = 1 - mine;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
  }
  return argument;
}

static int ends[2];

static void* read_later(void* argument) {
  char byte = 0;
  const long got = TRY("read", 0, read(ends[0], &byte, 1));
  if (got != 1 || byte != 'x') broken("another byte", got);
  return argument;
}

static void* poll_later(void* argument) {
  struct pollfd p = {.fd = ends[0], .events = POLLIN};
  const long ready = TRY("poll", 0, poll(&p, 1, -1));
  if (ready != 1 || p.revents != POLLIN) broken("poll", ready);
  return argument;
}

static void* select_later(void* argument) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  const long ready = TRY("select", 0, select(ends[0] + 1, &set, NULL, NULL, NULL));
  if (ready != 1 || !FD_ISSET(ends[0], &set)) broken("select", ready);
  return argument;
}

static void* epoll_later(void* argument) {
  const int set = (int)TRY("epoll_create1", 0, epoll_create1(EPOLL_CLOEXEC));
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
  TRY("epoll_ctl", 0, epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
  event.data.u32 = 0;
  const long ready = TRY("epoll_wait", 0, epoll_wait(set, &event, 1, -1));
  if (ready != 1 || event.data.u32 != 7) broken("epoll_wait", ready);
  close(set);
  return argument;
}

// A thread waits for `ends`, then a byte comes.
static void wait_for_byte(void* (*waits)(void*)) {
  const pthread_t thread = start(waits, NULL);
  usleep(1000);
  TRY("write", 0, write(ends[1], "x", 1));
  join(thread);
  if (waits != read_later) read_later(NULL);
}

static void* lock_file(void* argument) {
  const int fd = (int)TRY("open", 0, open(argument, O_RDWR));
  TRY("flock", ENOLCK, flock(fd, LOCK_EX));
  TRY("fsync", 0, fsync(fd));
  close(fd);
  return NULL;
}

static void use_file(void) {
  char name[64];
  const int fd = (int)TRY("mkstemp", 0, mkstemp(strcpy(name, "/tmp/first_threads.XXXXXX")));
  TRY("flock", ENOLCK, flock(fd, LOCK_EX));
  const pthread_t thread = start(lock_file, name);
  usleep(1000);
  TRY("flock", ENOLCK, flock(fd, LOCK_UN));
  join(thread);
  close(fd);
  unlink(name);
}

static void* end_child(void* argument) { _exit((int)(intptr_t)argument); }

static void* fork_threads(void* argument) {
  const long child = TRY("fork", EAGAIN, fork());
  if (child == 0) {
    join(start(end_child, (void*)3));
    _exit(9);
  }
  int status = 0;
  const long waited = TRY("waitpid", 0, waitpid((pid_t)child, &status, 0));
  if (waited != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3)
    broken("the child ended otherwise", status);
  return argument;
}

static void* time_out(void* argument) {
  sem_t never;
  sem_init(&never, 0, 0);
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_nsec += 2000000;
  if (deadline.tv_nsec >= 1000000000) {
    deadline.tv_nsec -= 1000000000;
    ++deadline.tv_sec;
  }
  const long result = sem_timedwait(&never, &deadline);
  if (result != -1 || errno != ETIMEDOUT) broken("sem_timedwait", result);
  return argument;
}

int main(void) {
  pthread_t turns[2];
  for (int i = 0; i < 2; ++i) turns[i] = start(take_turns, (void*)(intptr_t)i);
  for (int i = 0; i < 2; ++i) join(turns[i]);
  for (int stream = 0; stream < 2; ++stream) {
    if (stream == 0) {
      TRY("pipe", 0, pipe2(ends, O_CLOEXEC));
    } else {
      TRY("socketpair", 0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    }
    wait_for_byte(read_later);
    wait_for_byte(poll_later);
    wait_for_byte(select_later);
    wait_for_byte(epoll_later);
    close(ends[0]);
    close(ends[1]);
  }
  use_file();
  join(start(time_out, NULL));
  join(start(fork_threads, NULL));
  puts("done");
  return 0;
}
