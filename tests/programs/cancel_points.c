// A thread that is blocked at a cancellation point ends when it is cancelled: its cleanup handlers
// run, join gives PTHREAD_CANCELED, and nothing was consumed.
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "check.h"

static int empty_pipe[2], full_pipe[2], pair[2], listener, epoll_fd;
static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem, entered;
static int cleaned;
static pthread_t sleeper;

static void by_read(void) {
  char c;
  read(empty_pipe[0], &c, 1);
}
static void by_readv(void) {
  char c;
  struct iovec part = {&c, 1};
  readv(empty_pipe[0], &part, 1);
}
static void by_write(void) { write(full_pipe[1], "x", 1); }
static void by_recv(void) {
  char c;
  recv(pair[0], &c, 1, 0);
}
static void by_recvmsg(void) {
  char c;
  struct iovec part = {&c, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  recvmsg(pair[0], &message, 0);
}
static void by_accept(void) { accept(listener, NULL, NULL); }
static void by_sleep(void) { sleep(kBoundMs / 1000); }
static void by_nanosleep(void) {
  struct timespec t = from_ns(MS(kBoundMs));
  nanosleep(&t, NULL);
}
static void by_clock_nanosleep(void) {
  struct timespec t = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
}
static void by_poll(void) {
  struct pollfd p = {empty_pipe[0], POLLIN, 0};
  poll(&p, 1, kBoundMs);
}
static void by_select(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(empty_pipe[0], &set);
  select(empty_pipe[0] + 1, &set, NULL, NULL, NULL);
}
static void by_epoll_wait(void) {
  struct epoll_event event;
  epoll_wait(epoll_fd, &event, 1, -1);
}
static void by_sem_wait(void) { sem_wait(&sem); }
static void by_sem_timedwait(void) {
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  sem_timedwait(&sem, &deadline);
}
static void by_join(void) { pthread_join(sleeper, NULL); }
static void by_sigwait(void) {
  sigset_t set;
  int number;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigwait(&set, &number);
}
static void by_pause(void) { pause(); }
static void by_usleep(void) { usleep(kBoundMs * 1000); }

static void count_cleanup(void* argument) { cleaned = cleaned * 10 + (int)(intptr_t)argument; }

static void unlock_cleanup(void* argument) {
  (void)argument;
  CHECK_RC(pthread_mutex_unlock(&mutex));  // checks that the wait took the mutex again
  count_cleanup((void*)3);
}

static void by_cond_wait(void) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  pthread_cleanup_push(unlock_cleanup, NULL);
  for (;;) pthread_cond_wait(&cond, &mutex);
  pthread_cleanup_pop(0);
}
static void by_cond_timedwait(void) {
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&mutex));
  pthread_cleanup_push(unlock_cleanup, NULL);
  for (;;) pthread_cond_timedwait(&cond, &mutex, &deadline);
  pthread_cleanup_pop(0);
}

static void* body(void* argument) {
  void (*block)(void) = *(void (**)(void))argument;
  pthread_cleanup_push(count_cleanup, (void*)1);
  pthread_cleanup_push(count_cleanup, (void*)2);
  CHECK_OK(sem_post(&entered));
  block();
  FAIL("the blocking call returned (errno %d)", errno);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancel_in(const char* name, void (*block)(void), int expected) {
  // Twice: once most likely blocked in the call, once most likely just before it.
  for (int late = 1; late >= 0; --late) {
    cleaned = 0;
    pthread_t thread = start_thread(body, &block);
    sem_take(&entered);
    if (late) settle();
    CHECK_RC(pthread_cancel(thread));
    CHECK(join_thread(thread) == PTHREAD_CANCELED);
    CHECK_EQ(expected, cleaned);
  }
  pass(name);
}

static void* sleeps(void* argument) {
  sem_take(argument);
  return NULL;
}

int main(void) {
  sem_t end;
  CHECK_OK(sem_init(&end, 0, 0));
  CHECK_OK(sem_init(&sem, 0, 0));
  CHECK_OK(sem_init(&entered, 0, 0));
  sleeper = start_thread(sleeps, &end);
  pthread_mutexattr_t kind;
  CHECK_RC(pthread_mutexattr_init(&kind));
  CHECK_RC(pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK));
  CHECK_RC(pthread_mutex_init(&mutex, &kind));
  CHECK_OK(pipe(empty_pipe));
  CHECK_OK(pipe2(full_pipe, O_NONBLOCK));
  while (write(full_pipe[1], full_pipe, 1) == 1) {
  }
  CHECK_OK(fcntl(full_pipe[1], F_SETFL, 0));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(listen(listener, 1));
  epoll_fd = epoll_create1(0);
  CHECK_OK(epoll_fd);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));

  cancel_in("read", by_read, 21);
  cancel_in("readv", by_readv, 21);
  cancel_in("write", by_write, 21);
  cancel_in("recv", by_recv, 21);
  cancel_in("recvmsg", by_recvmsg, 21);
  cancel_in("accept", by_accept, 21);
  cancel_in("sleep", by_sleep, 21);
  cancel_in("usleep", by_usleep, 21);
  cancel_in("nanosleep", by_nanosleep, 21);
  cancel_in("clock_nanosleep", by_clock_nanosleep, 21);
  cancel_in("poll", by_poll, 21);
  cancel_in("select", by_select, 21);
  cancel_in("epoll_wait", by_epoll_wait, 21);
  cancel_in("sem_wait", by_sem_wait, 21);
  cancel_in("sem_timedwait", by_sem_timedwait, 21);
  cancel_in("pthread_cond_wait", by_cond_wait, 321);
  cancel_in("pthread_cond_timedwait", by_cond_timedwait, 321);
  cancel_in("pthread_join", by_join, 21);
  cancel_in("sigwait", by_sigwait, 21);
  cancel_in("pause", by_pause, 21);

  CHECK_OK(sem_post(&end));
  join_thread(sleeper);
  CHECK_EQ(1, write(empty_pipe[1], "x", 1));
  char c = 0;
  CHECK_EQ(1, read(empty_pipe[0], &c, 1));
  CHECK_EQ('x', c);
  pass("a cancelled join leaves the thread joinable, a cancelled read leaves the pipe usable");
  return 0;
}
