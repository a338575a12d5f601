// What a thread that is bound to a processor waits for: data, room, connections, events, a time, a
// signal, the end of the other side and of its own. And what is full without being so, for any.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/un.h>

#include "check.h"

static pid_t waiter;
static int pair[2], epoll_set;

static void bind_self(void) {
  cpu_set_t all, one;
  CHECK_OK(sched_getaffinity(0, sizeof all, &all));
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
}

static void about_to_wait(void) { __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST); }

static void* reads_until_end(void* unused) {
  (void)unused;
  bind_self();
  about_to_wait();
  char text[64];
  size_t got = 0;
  for (ssize_t n; (n = read(pair[0], text + got, sizeof text - got)) != 0; got += (size_t)n) {
    CHECK_OK(n);
  }
  CHECK_EQ(3, got);
  CHECK(memcmp(text, "abc", 3) == 0);
  return NULL;
}

static void* polls(void* unused) {
  (void)unused;
  bind_self();
  struct pollfd p = {pair[0], POLLIN, 0};
  int64_t before = mono_ns();
  CHECK_EQ(0, poll(&p, 1, 30));
  CHECK_BETWEEN(MS(30), mono_ns() - before, MS(10000));
  about_to_wait();
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[0], &set);
  struct timeval limit = {kBoundMs / 1000, 0};
  CHECK_EQ(1, select(pair[0] + 1, &set, NULL, NULL, &limit));
  CHECK(limit.tv_sec < kBoundMs / 1000);
  char text[2];
  CHECK_EQ(2, read(pair[0], text, 2));
  about_to_wait();
  CHECK_EQ(1, poll(&p, 1, -1));
  CHECK_EQ(POLLHUP, p.revents);
  return NULL;
}

static void* waits_by_epoll(void* unused) {
  (void)unused;
  bind_self();
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 77};
  CHECK_OK(epoll_ctl(epoll_set, EPOLL_CTL_ADD, pair[0], &event));
  CHECK_EQ(0, epoll_wait(epoll_set, &event, 1, 30));
  for (int i = 0; i < 5; ++i) {
    about_to_wait();
    CHECK_EQ(1, epoll_wait(epoll_set, &event, 1, kBoundMs));
    CHECK_EQ(77, event.data.u32);
    char c;
    CHECK_EQ(1, read(pair[0], &c, 1));
  }
  return NULL;
}

static void* writes_much(void* argument) {
  static char much[1 << 20];
  bind_self();
  about_to_wait();
  CHECK_EQ(sizeof much, write(*(int*)argument, much, sizeof much));
  return NULL;
}

static void on_signal(int signal) { (void)signal; }

static void* is_interrupted(void* unused) {
  (void)unused;
  bind_self();
  char c;
  about_to_wait();
  CHECK_ERRNO(EINTR, read(pair[0], &c, 1));
  struct pollfd p = {pair[0], POLLIN, 0};
  about_to_wait();
  CHECK_ERRNO(EINTR, poll(&p, 1, kBoundMs));
  struct epoll_event event;
  about_to_wait();
  CHECK_ERRNO(EINTR, epoll_wait(epoll_set, &event, 1, kBoundMs));
  struct timeval limit = {0, 30000};
  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  int64_t before = mono_ns();
  CHECK_ERRNO(EAGAIN, recv(pair[0], &c, 1, 0));
  CHECK_BETWEEN(MS(30), mono_ns() - before, MS(10000));
  return NULL;
}

static void* is_canceled(void* unused) {
  (void)unused;
  bind_self();
  char c;
  about_to_wait();
  (void)!read(pair[0], &c, 1);
  FAIL("read returned");
  return NULL;
}

static void* receives_end(void* unused) {
  (void)unused;
  bind_self();
  char c;
  about_to_wait();
  CHECK_EQ(0, recv(pair[0], &c, 1, 0));
  return NULL;
}

static void* accepts(void* argument) {
  bind_self();
  for (int i = 0; i < 3; ++i) {
    about_to_wait();
    int fd = accept(*(int*)argument, NULL, NULL);
    CHECK_OK(fd);
    CHECK_EQ(1, write(fd, "h", 1));
    CHECK_OK(close(fd));
  }
  return NULL;
}

static void streams(void) {
  CHECK_OK(pipe(pair));
  pthread_t thread = start_thread(reads_until_end, NULL);
  for (int i = 0; i < 3; ++i) {
    settle();
    CHECK_EQ(1, write(pair[1], &"abc"[i], 1));
  }
  settle();
  CHECK_OK(close(pair[1]));
  join_thread(thread);
  CHECK_OK(close(pair[0]));
  for (int socket = 0; socket < 2; ++socket) {
    if (socket) {
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    } else {
      CHECK_OK(pipe(pair));
    }
    thread = start_thread(writes_much, &pair[1]);
    settle();
    char part[5000];
    for (size_t got = 0; got < 1 << 20;) {
      ssize_t n = read(pair[0], part, sizeof part);
      CHECK(n > 0);
      got += (size_t)n;
    }
    join_thread(thread);
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
  }
  pass("streams");
}

static void events(void) {
  CHECK_OK(pipe(pair));
  __atomic_store_n(&waiter, 0, __ATOMIC_SEQ_CST);
  pthread_t thread = start_thread(polls, NULL);
  settle_blocked(&waiter);
  CHECK_EQ(2, write(pair[1], "ab", 2));
  while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0) settle();
  CHECK_OK(close(pair[1]));
  join_thread(thread);
  CHECK_OK(close(pair[0]));
  CHECK_OK(pipe(pair));
  epoll_set = epoll_create1(0);
  CHECK_OK(epoll_set);
  waiter = 0;
  thread = start_thread(waits_by_epoll, NULL);
  for (int i = 0; i < 5; ++i) {
    settle_blocked(&waiter);
    CHECK_EQ(1, write(pair[1], "x", 1));
  }
  join_thread(thread);
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
  pass("poll, select and epoll");
}

static void endings(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  waiter = 0;
  pthread_t thread = start_thread(is_interrupted, NULL);
  for (int i = 0; i < 3; ++i) {
    settle_blocked(&waiter);
    CHECK_RC(pthread_kill(thread, SIGUSR1));
  }
  join_thread(thread);
  thread = start_thread(is_canceled, NULL);
  settle();
  CHECK_RC(pthread_cancel(thread));
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  struct timeval none = {0, 0};
  CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
  waiter = 0;
  thread = start_thread(receives_end, NULL);
  settle_blocked(&waiter);
  CHECK_OK(shutdown(pair[0], SHUT_RD));
  CHECK_OK(close(pair[0]));
  join_thread(thread);
  CHECK_OK(close(pair[1]));
  pass("signal, time limit, cancellation, shutdown");
}

static void connections(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(listener);
  CHECK_OK(bind(listener, (struct sockaddr*)&address, size));
  CHECK_OK(listen(listener, 8));
  CHECK_OK(getsockname(listener, (struct sockaddr*)&address, &size));
  pthread_t thread = start_thread(accepts, &listener);
  for (int i = 0; i < 3; ++i) {
    settle();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(fd);
    CHECK_OK(connect(fd, (struct sockaddr*)&address, size));
    char c;
    CHECK_EQ(1, read(fd, &c, 1));
    CHECK_EQ(0, read(fd, &c, 1));
    CHECK_OK(close(fd));
  }
  join_thread(thread);
  CHECK_OK(close(listener));
  pass("accept");
}

// The socket has room, the one that it is sent to has not: ready, and yet it waits.
static struct sockaddr_un full;
static int is_bound, by_message;
static void* sends_to_full(void* argument) {
  if (is_bound) bind_self();
  struct iovec vector = {"z", 1};
  struct msghdr message = {&full, sizeof full, &vector, 1, NULL, 0, 0};
  struct timespec before, after;
  CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before));
  about_to_wait();
  CHECK_EQ(1, by_message
                  ? sendmsg(*(int*)argument, &message, 0)
                  : sendto(*(int*)argument, "z", 1, 0, (struct sockaddr*)&full, sizeof full));
  CHECK_OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after));
  CHECK(to_ns(after) - to_ns(before) < MS(150));  // of 300 and more
  return NULL;
}

static void full_receiver(void) {
  int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_OK(receiver);
  CHECK_OK(sender);
  full.sun_family = AF_UNIX;
  memset(full.sun_path, 0, sizeof full.sun_path);
  snprintf(full.sun_path + 1, sizeof full.sun_path - 1, "pinned_waits.%d", (int)getpid());
  CHECK_OK(bind(receiver, (struct sockaddr*)&full, sizeof full));
  int sent = 0;
  while (sendto(sender, "y", 1, MSG_DONTWAIT, (struct sockaddr*)&full, sizeof full) == 1) ++sent;
  CHECK_EQ(EAGAIN, errno);
  waiter = 0;
  pthread_t thread = start_thread(sends_to_full, &sender);
  settle_blocked(&waiter);
  for (int i = 0; i < 15; ++i) settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  char c;
  for (int i = 0; i < sent; ++i) CHECK_EQ(1, recv(receiver, &c, 1, 0));
  CHECK_EQ(1, recv(receiver, &c, 1, 0));
  CHECK_EQ('z', c);
  join_thread(thread);
  CHECK_OK(close(receiver));
  CHECK_OK(close(sender));
}

int main(void) {
  alarm(kBoundMs / 1000 + 20);
  streams();
  events();
  endings();
  connections();
  for (is_bound = 0; is_bound < 2; ++is_bound) {
    for (by_message = 0; by_message < 2; ++by_message) full_receiver();
  }
  pass("a receiver that is full");
  return 0;
}
