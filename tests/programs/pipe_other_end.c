// Whoever waits at one end of a pipe, a pair of sockets or an eventfd hears of all that happens at
// the other, by whichever way and whoever does it: right when the wait begins, and when it has
// lasted.
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "check.h"

enum { kPipe, kSockets, kEventfd };

struct ends {
  int reads, writes;
};

static struct ends make_ends(int kind) {
  int pair[2];
  switch (kind) {
    case kPipe:
      CHECK_OK(pipe2(pair, O_CLOEXEC));
      return (struct ends){pair[0], pair[1]};
    case kSockets:
      CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
      return (struct ends){pair[0], pair[1]};
    default:
      pair[0] = eventfd(0, EFD_CLOEXEC);
      CHECK_OK(pair[0]);
      return (struct ends){pair[0], pair[0]};
  }
}

static void close_ends(struct ends ends, int writer_is_open) {
  CHECK_OK(close(ends.reads));
  if (writer_is_open && ends.writes != ends.reads) CHECK_OK(close(ends.writes));
}

// --- who waits ---

enum way { kRead, kPoll, kEpoll };

struct wait {
  enum way way;
  int fd;
  ssize_t got;
  short revents;
};

static void* waits(void* argument) {
  struct wait* wait = argument;
  char data[8];
  if (wait->way == kPoll) {
    struct pollfd one = {wait->fd, POLLIN, 0};
    CHECK_EQ(1, poll(&one, 1, kBoundMs));
    wait->revents = one.revents;
  } else if (wait->way == kEpoll) {
    const int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_OK(set);
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, wait->fd, &event));
    CHECK_EQ(1, epoll_wait(set, &event, 1, kBoundMs));
    wait->revents = (short)event.events;
    CHECK_OK(close(set));
  }
  wait->got = read(wait->fd, data, sizeof data);
  return argument;
}

// --- what happens at the other end ---

static void by_write(struct ends* ends) { CHECK_EQ(8, write(ends->writes, "\1\0\0\0\0\0\0", 8)); }

static void by_writev(struct ends* ends) {
  struct iovec parts[2] = {{(char*)"\1\0\0\0", 4}, {(char*)"\0\0\0", 4}};
  CHECK_EQ(8, writev(ends->writes, parts, 2));
}

// Flags that a write without a position may have.
static void by_pwritev2(struct ends* ends) {
  enum { kNowait = 8 };
  struct iovec part = {(char*)"1234567", 8};
  CHECK_EQ(8, pwritev2(ends->writes, &part, 1, -1, kNowait));
}

static void by_nonblocking_write(struct ends* ends) {
  CHECK_OK(fcntl(ends->writes, F_SETFL, fcntl(ends->writes, F_GETFL) | O_NONBLOCK));
  by_write(ends);
  CHECK_OK(fcntl(ends->writes, F_SETFL, fcntl(ends->writes, F_GETFL) & ~O_NONBLOCK));
}

static void by_duplicate(struct ends* ends) {
  struct ends other = {-1, dup(ends->writes)};
  CHECK_OK(other.writes);
  by_write(&other);
  CHECK_OK(close(other.writes));
}

static void by_child(struct ends* ends) {
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    by_write(ends);
    _exit(0);
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK_EQ(0, status);
}

static void by_reopened(struct ends* ends) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends->writes);
  struct ends other = {-1, open(path, O_WRONLY | O_CLOEXEC)};
  CHECK_OK(other.writes);
  by_write(&other);
  CHECK_OK(close(other.writes));
}

static void by_received_descriptor(struct ends* ends) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  char byte = 'x';
  struct iovec part = {&byte, 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.space,
                           .msg_controllen = sizeof control.space};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.header), &ends->writes, sizeof(int));
  CHECK_EQ(1, sendmsg(pair[0], &message, 0));
  CHECK_EQ(1, recvmsg(pair[1], &message, 0));
  struct ends other = {-1, -1};
  memcpy(&other.writes, CMSG_DATA(&control.header), sizeof(int));
  by_write(&other);
  CHECK_OK(close(other.writes));
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

static void by_sendmsg(struct ends* ends) {
  struct iovec part = {(char*)"1234567", 8};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK_EQ(8, sendmsg(ends->writes, &message, 0));
}

static void by_send(struct ends* ends) { CHECK_EQ(8, send(ends->writes, "1234567", 8, 0)); }

static void by_send_at_once(struct ends* ends) {
  CHECK_EQ(8, send(ends->writes, "1234567", 8, MSG_DONTWAIT));
}

static void by_splice(struct ends* ends) {
  struct ends from = make_ends(kPipe);
  by_write(&from);
  CHECK_EQ(8, splice(from.reads, NULL, ends->writes, NULL, 8, 0));
  close_ends(from, 1);
}

static void by_tee(struct ends* ends) {
  struct ends from = make_ends(kPipe);
  by_write(&from);
  CHECK_EQ(8, tee(from.reads, ends->writes, 8, 0));
  close_ends(from, 1);
}

static void by_vmsplice(struct ends* ends) {
  static char data[8];
  struct iovec part = {data, 8};
  CHECK_EQ(8, vmsplice(ends->writes, &part, 1, 0));
}

static void by_sendfile(struct ends* ends) {
  char name[] = "/tmp/pipe_other_end.XXXXXX";
  const int file = mkstemp(name);
  CHECK_OK(file);
  CHECK_OK(unlink(name));
  CHECK_EQ(8, write(file, "1234567", 8));
  off_t begin = 0;
  CHECK_EQ(8, sendfile(ends->writes, file, &begin, 8));
  CHECK_OK(close(file));
}

// The Linux kernel itself adds to an eventfd.
static void by_aio(struct ends* ends) {
  static aio_context_t context;
  if (context == 0) CHECK_OK(syscall(SYS_io_setup, 4, &context));
  struct ends ready = make_ends(kPipe);
  by_write(&ready);
  struct iocb request;
  struct iocb* requests[] = {&request};
  memset(&request, 0, sizeof request);
  request.aio_lio_opcode = IOCB_CMD_POLL;
  request.aio_fildes = (unsigned)ready.reads;
  request.aio_buf = POLLIN;
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = (unsigned)ends->writes;
  CHECK_EQ(1, syscall(SYS_io_submit, context, 1, requests));
  struct io_event event;
  CHECK_EQ(1, syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
  close_ends(ready, 1);
}

static void by_close(struct ends* ends) { CHECK_OK(close(ends->writes)); }

static void by_replacement(struct ends* ends) {
  const int other = open("/dev/null", O_WRONLY | O_CLOEXEC);
  CHECK_OK(other);
  CHECK_EQ(ends->writes, dup2(other, ends->writes));
  CHECK_OK(close(other));
}

static void by_shutdown(struct ends* ends) { CHECK_OK(shutdown(ends->writes, SHUT_WR)); }

static void by_own_shutdown(struct ends* ends) { CHECK_OK(shutdown(ends->reads, SHUT_RD)); }

static const struct {
  const char* name;
  void (*happen)(struct ends*);
  int kinds;  // 1 << kind
  ssize_t got;
} kWays[] = {
    {"write", by_write, 7, 8},
    {"writev", by_writev, 3, 8},
    {"pwritev2", by_pwritev2, 3, 8},
    {"non-blocking write", by_nonblocking_write, 7, 8},
    {"write to a duplicate", by_duplicate, 7, 8},
    {"write by a child", by_child, 7, 8},
    {"write to what was opened anew", by_reopened, 1, 8},
    {"write to what was received", by_received_descriptor, 7, 8},
    {"sendmsg", by_sendmsg, 2, 8},
    {"send", by_send, 2, 8},
    {"send at once", by_send_at_once, 2, 8},
    {"splice", by_splice, 3, 8},
    {"tee", by_tee, 1, 8},
    {"vmsplice", by_vmsplice, 1, 8},
    {"sendfile", by_sendfile, 3, 8},
    {"request that ends", by_aio, 4, 8},
    {"close", by_close, 3, 0},
    {"replacement", by_replacement, 3, 0},
    {"shutdown", by_shutdown, 2, 0},
    {"shutdown of the own end", by_own_shutdown, 2, 0},
};

static void once(size_t way, enum way waiting, int kind, struct ends* ends, int after_ms) {
  struct wait wait = {waiting, ends->reads, -2, 0};
  pthread_t waiter = start_thread(waits, &wait);
  if (after_ms != 0) usleep((useconds_t)after_ms * 1000);
  kWays[way].happen(ends);
  join_thread(waiter);
  CHECK_EQ(kWays[way].got, wait.got);
  if (waiting == kRead) return;
  if (kWays[way].got == 0 && kind == kPipe) {
    CHECK_EQ(POLLHUP, wait.revents);
  } else {
    CHECK_EQ(POLLIN, wait.revents & POLLIN);
  }
}

int main(void) {
  be_threaded();
  static const int after[] = {0, 12};
  for (size_t way = 0; way < sizeof kWays / sizeof *kWays; ++way) {
    for (int kind = kPipe; kind <= kEventfd; ++kind) {
      if ((kWays[way].kinds & 1 << kind) == 0) continue;
      for (enum way waiting = kRead; waiting <= kEpoll; ++waiting) {
        for (size_t i = 0; i < sizeof after / sizeof *after; ++i) {
          struct ends ends = make_ends(kind);
          once(way, waiting, kind, &ends, after[i]);
          // Again, for who has heard of it by another way by now.
          const int lives = kWays[way].got != 0;
          for (int again = 0; lives && again < 2; ++again) {
            once(way, waiting, kind, &ends, after[i]);
          }
          close_ends(ends, kWays[way].happen != by_close);
        }
      }
    }
    pass(kWays[way].name);
  }
  return 0;
}
