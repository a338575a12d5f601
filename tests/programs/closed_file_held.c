// A call that waits on a descriptor holds the open file: whoever closes or replaces the number
// meanwhile does not end the call, which gets what comes for the file, and the other end does not
// break before the call is over.
#include <dirent.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "taken_away.h"

enum { kMuch = 1 << 20 };

static int open_descriptors(void) {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  CHECK(directory);
  while (readdir(directory)) ++count;
  CHECK_OK(closedir(directory));
  return count;
}

struct Reader {
  int fd;
  int calls;  // which is used
  long expected;
  int may_be_late;  // it may not have begun to wait when the number is closed: EBADF
  int was_late;

  char text[8];
};
static void* reads(void* argument) {
  struct Reader* r = argument;
  struct iovec vector = {r->text, sizeof r->text};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  about_to_wait();
  long came = -2;
  errno = 0;
  if (r->calls == 0) came = read(r->fd, r->text, sizeof r->text);
  if (r->calls == 1) came = readv(r->fd, &vector, 1);
  if (r->calls == 2) came = syscall(SYS_read, r->fd, r->text, sizeof r->text);
  if (r->calls == 3) came = recv(r->fd, r->text, sizeof r->text, 0);
  if (r->calls == 4) came = recvmsg(r->fd, &message, 0);
  if (r->calls == 5) came = recv(r->fd, r->text, 6, MSG_WAITALL);
  r->was_late = r->may_be_late && came == -1 && errno == EBADF;
  if (!r->was_late) CHECK_EQ(r->expected, came);
  return NULL;
}

static void readers(int socket, int calls) {
  for (enum How how = kClose; how < kHows; ++how) {
    for (int ends = 0; ends < 2; ++ends) {
      int pair[2];
      if (socket) {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      } else {
        CHECK_OK(pipe(pair));
      }
      struct Reader r = {.fd = pair[0], .calls = calls, .expected = ends ? 0 : 6};
      pthread_t thread = start_thread(reads, &r);
      settle_blocked(&waiter);
      take_away(pair[0], how);
      settle();
      if (ends) {
        CHECK_OK(close(pair[1]));
        join_thread(thread);
      } else {
        CHECK_EQ(6, write(pair[1], "right", 6));  // somebody reads it still
        join_thread(thread);
        CHECK_STR("right", r.text);
        CHECK(wait_ready(pair[1], POLLOUT) & (POLLERR | POLLHUP));  // nobody does any more
        CHECK_ERRNO(EPIPE, write(pair[1], "late", 5));
        CHECK_OK(close(pair[1]));
      }
      give_back(pair[0], how);
    }
  }
}

static void* writes_much(void* argument) {
  static char much[kMuch];
  memset(much, 'm', sizeof much);
  about_to_wait();
  CHECK_EQ(kMuch, write(*(int*)argument, much, sizeof much));
  return NULL;
}

static void drain(int fd, size_t expected) {
  char part[4096];
  size_t got = 0;
  for (ssize_t n; (n = read(fd, part, sizeof part)) != 0;) {
    CHECK_OK(n);
    for (ssize_t i = 0; i < n; ++i) CHECK_EQ('m', part[i]);
    got += (size_t)n;
  }
  CHECK_EQ(expected, got);
}

static void writer(int socket) {
  int pair[2];
  if (socket) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  } else {
    CHECK_OK(pipe(pair));
  }
  pthread_t thread = start_thread(writes_much, &pair[1]);
  settle_blocked(&waiter);
  CHECK_OK(close(pair[1]));
  drain(pair[0], kMuch);  // and then the end: the writer was the last who had it
  join_thread(thread);
  CHECK_OK(close(pair[0]));
}

static int listen_on_loopback(struct sockaddr_in* address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(fd);
  *address = (struct sockaddr_in){.sin_family = AF_INET};
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof *address;
  CHECK_OK(bind(fd, (struct sockaddr*)address, size));
  CHECK_OK(listen(fd, 8));
  CHECK_OK(getsockname(fd, (struct sockaddr*)address, &size));
  return fd;
}

static int accepted;
static void* accepts(void* argument) {
  about_to_wait();
  accepted = accept(*(int*)argument, NULL, NULL);
  CHECK_OK(accepted);
  return NULL;
}

static void listener(void) {
  struct sockaddr_in address;
  int fd = listen_on_loopback(&address);
  int number = fd;
  pthread_t thread = start_thread(accepts, &number);
  settle_blocked(&waiter);
  CHECK_OK(close(fd));
  settle();
  int client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(client);
  CHECK_OK(connect(client, (struct sockaddr*)&address, sizeof address));
  join_thread(thread);
  CHECK_EQ(2, write(client, "hi", 2));
  char text[4];
  CHECK_EQ(2, read(accepted, text, sizeof text));
  CHECK_OK(close(client));
  CHECK_OK(close(accepted));
  client = socket(AF_INET, SOCK_STREAM, 0);  // and that was all
  CHECK_OK(client);
  CHECK_ERRNO(ECONNREFUSED, connect(client, (struct sockaddr*)&address, sizeof address));
  CHECK_OK(close(client));
}

enum { kRounds = 50 };
static pthread_t start_reader(struct Reader* r) {
  r->may_be_late = 1;
  pthread_t thread = start_thread(reads, r);
  while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0) sched_yield();
  settle();
  __atomic_store_n(&waiter, 0, __ATOMIC_SEQ_CST);
  return thread;
}

// Woken by the shutdown, closed before it runs.
static void shutdown_and_close(void) {
  int late = 0;
  for (int i = 0; i < kRounds; ++i) {
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct Reader r = {.fd = pair[0], .calls = 3};
    pthread_t thread = start_reader(&r);
    CHECK_OK(shutdown(pair[0], SHUT_RDWR));
    CHECK_OK(close(pair[0]));
    join_thread(thread);
    late += r.was_late;
    CHECK_OK(close(pair[1]));
  }
  CHECK(late < kRounds);
}

// What has come is the waiter's, though it has not run yet.
static void data_and_close(void) {
  int late = 0;
  for (int i = 0; i < kRounds; ++i) {
    int pair[2];
    CHECK_OK(pipe(pair));
    struct Reader r = {.fd = pair[0], .expected = 6};
    pthread_t thread = start_reader(&r);
    CHECK_EQ(6, write(pair[1], "right", 6));
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    join_thread(thread);
    late += r.was_late;
    if (!r.was_late) CHECK_STR("right", r.text);
  }
  CHECK(late < kRounds);
}

static void* reads_number(void* argument) {
  uint64_t number = 0;
  about_to_wait();
  CHECK_EQ(sizeof number, read(*(int*)argument, &number, sizeof number));
  CHECK(number > 0);
  return NULL;
}

static void anonymous_files(void) {
  int event = eventfd(0, 0);
  CHECK_OK(event);
  int other = dup(event), number = event;
  CHECK_OK(other);
  pthread_t thread = start_thread(reads_number, &number);
  settle_blocked(&waiter);
  CHECK_OK(close(event));
  uint64_t one = 1;
  CHECK_EQ(8, write(other, &one, 8));
  join_thread(thread);
  CHECK_OK(close(other));

  int timer = number = timerfd_create(CLOCK_MONOTONIC, 0);
  CHECK_OK(timer);
  struct itimerspec soon = {.it_value = {0, 300000000}};
  CHECK_OK(timerfd_settime(timer, 0, &soon, NULL));
  thread = start_thread(reads_number, &number);
  settle_blocked(&waiter);
  CHECK_OK(close(timer));
  join_thread(thread);
}

static void* waits_by_epoll(void* argument) {
  struct epoll_event event;
  about_to_wait();
  CHECK_EQ(1, epoll_wait(*(int*)argument, &event, 1, kBoundMs));
  CHECK_EQ(77, event.data.u32);
  return NULL;
}

static void epoll_set(void) {
  int pair[2], set = epoll_create1(0), number = set;
  CHECK_OK(set);
  CHECK_OK(pipe(pair));
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 77};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event));
  pthread_t thread = start_thread(waits_by_epoll, &number);
  settle_blocked(&waiter);
  CHECK_OK(close(set));
  settle();
  CHECK_EQ(1, write(pair[1], "x", 1));
  join_thread(thread);
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

static int source, sink;
static void* sends_file(void* unused) {
  (void)unused;
  size_t sent = 0;
  about_to_wait();
  while (sent < kMuch) {  // one call is enough unless it is interrupted
    ssize_t n = sendfile(sink, source, NULL, kMuch - sent);
    CHECK(n > 0);
    sent += (size_t)n;
  }
  return NULL;
}

static void* splices(void* unused) {
  (void)unused;
  about_to_wait();
  CHECK_EQ(6, splice(source, NULL, sink, NULL, 6, 0));
  return NULL;
}

static void two_files(void) {
  static char much[kMuch];
  memset(much, 'm', sizeof much);
  int pair[2];
  source = memfd_create("source", 0);
  CHECK_OK(source);
  CHECK_EQ(kMuch, write(source, much, sizeof much));
  CHECK_OK(lseek(source, 0, SEEK_SET));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  sink = pair[1];
  pthread_t thread = start_thread(sends_file, NULL);
  settle_blocked(&waiter);
  CHECK_OK(close(source));
  CHECK_OK(close(sink));
  drain(pair[0], kMuch);
  join_thread(thread);
  CHECK_OK(close(pair[0]));

  int in[2], out[2];
  CHECK_OK(pipe(in));
  CHECK_OK(pipe(out));
  source = in[0];
  sink = out[1];
  thread = start_thread(splices, NULL);
  settle_blocked(&waiter);
  CHECK_OK(close(sink));
  CHECK_OK(close(source));
  settle();
  CHECK_EQ(6, write(in[1], "right", 6));
  join_thread(thread);
  char text[8];
  CHECK_EQ(6, read(out[0], text, sizeof text));
  CHECK_EQ(0, read(out[0], text, sizeof text));
  CHECK_OK(close(in[1]));
  CHECK_OK(close(out[0]));
}

// The child has the numbers that there are, not what a thread of its parent waits on.
static void fork_meanwhile(void) {
  int pair[2], begun[2], end[2];
  CHECK_OK(pipe(pair));
  CHECK_OK(pipe(begun));
  CHECK_OK(pipe(end));
  struct Reader r = {.fd = pair[0], .expected = 6};
  pthread_t thread = start_thread(reads, &r);
  settle_blocked(&waiter);
  CHECK_OK(close(pair[0]));
  settle();
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    char c = 'b';
    close(end[1]);
    if (write(begun[1], &c, 1) != 1) _exit(2);
    _exit(read(end[0], &c, 1) == 0 ? 7 : 1);
  }
  char c;
  CHECK_EQ(1, read(begun[0], &c, 1));
  CHECK_EQ(6, write(pair[1], "right", 6));
  join_thread(thread);
  CHECK_ERRNO(EPIPE, write(pair[1], "late", 5));
  CHECK_OK(close(end[1]));
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK(WIFEXITED(status));
  CHECK_EQ(7, WEXITSTATUS(status));
  CHECK_OK(close(end[0]));
  CHECK_OK(close(begun[0]));
  CHECK_OK(close(begun[1]));
  CHECK_OK(close(pair[1]));
}

static void on_signal(int signal) { (void)signal; }

static void* is_interrupted(void* argument) {
  char c;
  about_to_wait();
  CHECK_ERRNO(EINTR, read(*(int*)argument, &c, 1));
  return NULL;
}

static void interrupted(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  int pair[2];
  CHECK_OK(pipe(pair));
  pthread_t thread = start_thread(is_interrupted, &pair[0]);
  settle_blocked(&waiter);
  CHECK_OK(close(pair[0]));
  settle();
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  join_thread(thread);
  CHECK_ERRNO(EPIPE, write(pair[1], "late", 5));
  CHECK_OK(close(pair[1]));
}

// Several wait on one file; the number is taken by others, who are waited for as well.
static void several(void) {
  enum { kOwners = 3, kReaders = 4 };
  int writers[kOwners], number = -1;
  pthread_t threads[kOwners][kReaders];
  struct Reader r = {.expected = 1};
  struct Reader each[kOwners][kReaders];
  for (int owner = 0; owner < kOwners; ++owner) {
    int pair[2];
    CHECK_OK(pipe(pair));
    if (number == -1) number = pair[0];
    CHECK_EQ(number, pair[0]);
    writers[owner] = pair[1];
    for (int i = 0; i < kReaders; ++i) {
      each[owner][i] = r;
      each[owner][i].fd = number;
      threads[owner][i] = start_thread(reads, &each[owner][i]);
      settle_blocked(&waiter);
    }
    CHECK_OK(close(number));
  }
  for (int owner = kOwners - 1; owner >= 0; --owner) {
    for (int i = 0; i < kReaders; ++i) {
      char c = (char)('a' + owner);
      CHECK_EQ(1, write(writers[owner], &c, 1));
      settle();
    }
    for (int i = 0; i < kReaders; ++i) {
      join_thread(threads[owner][i]);
      CHECK_EQ('a' + owner, each[owner][i].text[0]);
    }
    CHECK_ERRNO(EPIPE, write(writers[owner], "x", 1));
    CHECK_OK(close(writers[owner]));
  }
}

int main(void) {
  CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  alarm(kBoundMs / 1000 + 20);
  int unused[2];
  CHECK_OK(pipe(unused));
  start_thread(reads_number, &unused[0]);
  settle_blocked(&waiter);
  int before = open_descriptors();
  for (int calls = 0; calls < 3; ++calls) readers(0, calls);
  pass("a pipe's reader");
  for (int calls = 0; calls < 6; ++calls) readers(1, calls);
  pass("a socket's reader");
  writer(0);
  writer(1);
  pass("a writer");
  listener();
  pass("a listening socket");
  shutdown_and_close();
  pass("shutdown and close");
  data_and_close();
  pass("data and close");
  anonymous_files();
  pass("eventfd and timerfd");
  epoll_set();
  pass("an epoll set");
  two_files();
  pass("sendfile and splice");
  fork_meanwhile();
  pass("fork");
  interrupted();
  pass("EINTR");
  several();
  pass("several owners and waiters");
  CHECK_EQ(before, open_descriptors());
  pass("no descriptor is left");
  return 0;
}
