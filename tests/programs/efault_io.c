// Bad pointers given to system calls of input and output: -1 with EFAULT, never a crash, in the
// main thread and in others. By syscall(), since libc itself may look at some of the arguments.
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "net.h"

#define EXPECT_EFAULT(...) CHECK_ERRNO(EFAULT, syscall(__VA_ARGS__))

static char* unmapped;   // the page after a mapped one
static char* read_only;  // a page that cannot be written

static void check_buffers(void* bad) {
  int ends[2], pair[2], datagram[2];
  CHECK_OK(pipe(ends));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram));
  CHECK_EQ(4, write(ends[1], "data", 4));
  CHECK_EQ(4, write(pair[1], "data", 4));
  CHECK_EQ(4, write(datagram[1], "data", 4));

  EXPECT_EFAULT(SYS_read, ends[0], bad, 4L);
  EXPECT_EFAULT(SYS_read, pair[0], bad, 4L);
  EXPECT_EFAULT(SYS_recvfrom, pair[0], bad, 4L, 0L, NULL, NULL);
  EXPECT_EFAULT(SYS_recvfrom, pair[0], bad, 4L, (long)MSG_PEEK, NULL, NULL);
  struct iovec part = {bad, 4}, parts[2] = {{bad, 4}, {bad, 4}};
  EXPECT_EFAULT(SYS_readv, ends[0], &part, 1L);
  EXPECT_EFAULT(SYS_readv, ends[0], parts, 2L);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  EXPECT_EFAULT(SYS_recvmsg, pair[0], &message, 0L);
  EXPECT_EFAULT(SYS_recvmsg, pair[0], bad, 0L);
  EXPECT_EFAULT(SYS_readv, ends[0], bad, 1L);
  message.msg_iov = bad;
  EXPECT_EFAULT(SYS_recvmsg, pair[0], &message, 0L);

  char text[5] = {0};  // what could not be stored was not taken
  CHECK_EQ(4, read(ends[0], text, 4));
  CHECK_STR("data", text);
  CHECK_EQ(4, read(pair[0], text, 4));
  CHECK_STR("data", text);
  CHECK_EQ(4, recv(datagram[0], text, 4, 0));
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(close(ends[i]));
    CHECK_OK(close(pair[i]));
    CHECK_OK(close(datagram[i]));
  }
}

static void check_sources(void* bad) {
  int ends[2], pair[2];
  CHECK_OK(pipe(ends));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  EXPECT_EFAULT(SYS_write, ends[1], bad, 4L);
  EXPECT_EFAULT(SYS_write, pair[1], bad, 4L);
  EXPECT_EFAULT(SYS_sendto, pair[1], bad, 4L, (long)MSG_NOSIGNAL, NULL, 0L);
  struct iovec part = {bad, 4};
  EXPECT_EFAULT(SYS_writev, ends[1], &part, 1L);
  EXPECT_EFAULT(SYS_writev, ends[1], bad, 1L);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  EXPECT_EFAULT(SYS_sendmsg, pair[1], &message, 0L);
  EXPECT_EFAULT(SYS_sendmsg, pair[1], bad, 0L);
  EXPECT_EFAULT(SYS_connect, pair[1], bad, 16L);
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT_EFAULT(SYS_bind, udp, bad, 16L);
  EXPECT_EFAULT(SYS_sendto, udp, "x", 1L, 0L, bad, 16L);
  EXPECT_EFAULT(SYS_setsockopt, udp, (long)SOL_SOCKET, (long)SO_REUSEADDR, bad, 4L);
  EXPECT_EFAULT(SYS_poll, bad, 1L, 0L);
  EXPECT_EFAULT(SYS_ppoll, bad, 1L, NULL, NULL, 8L);
  EXPECT_EFAULT(SYS_ppoll, NULL, 0L, bad, NULL, 8L);
  EXPECT_EFAULT(SYS_select, 1L, bad, NULL, NULL, NULL);
  EXPECT_EFAULT(SYS_select, 0L, NULL, NULL, NULL, bad);
  EXPECT_EFAULT(SYS_pselect6, 1L, bad, NULL, NULL, NULL, NULL);
  EXPECT_EFAULT(SYS_pselect6, 0L, NULL, NULL, NULL, bad, NULL);
  EXPECT_EFAULT(SYS_pselect6, 0L, NULL, NULL, NULL, NULL, bad);
  int set = epoll_create1(0);
  EXPECT_EFAULT(SYS_epoll_ctl, set, (long)EPOLL_CTL_ADD, ends[0], bad);
  EXPECT_EFAULT(SYS_openat, (long)AT_FDCWD, bad, (long)O_RDONLY);
  EXPECT_EFAULT(SYS_fcntl, ends[0], (long)F_SETLK, bad);
  CHECK_OK(close(set));
  CHECK_OK(close(udp));
  struct pollfd p = {ends[0], POLLIN, 0};
  CHECK_EQ(0, poll(&p, 1, 0));  // nothing of it was sent
  p.fd = pair[0];
  CHECK_EQ(0, poll(&p, 1, 0));
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(close(ends[i]));
    CHECK_OK(close(pair[i]));
  }
}

static void check_results(void* bad) {
  EXPECT_EFAULT(SYS_pipe, bad);
  EXPECT_EFAULT(SYS_pipe2, bad, 0L);
  EXPECT_EFAULT(SYS_socketpair, (long)AF_UNIX, (long)SOCK_STREAM, 0L, bad);
  int ends[2];
  CHECK_OK(pipe(ends));
  EXPECT_EFAULT(SYS_ioctl, ends[0], (long)FIONREAD, bad);
  EXPECT_EFAULT(SYS_fstat, ends[0], bad);
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  int listener = tcp_listener(&address, 5);
  EXPECT_EFAULT(SYS_getsockname, listener, bad, &size);
  EXPECT_EFAULT(SYS_getsockname, listener, &address, bad);
  EXPECT_EFAULT(SYS_getsockopt, listener, (long)SOL_SOCKET, (long)SO_TYPE, bad, &size);
  int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLOUT};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &event));
  EXPECT_EFAULT(SYS_epoll_wait, set, bad, 1L, 0L);
  EXPECT_EFAULT(SYS_epoll_pwait, set, bad, 1L, 0L, NULL, 8L);
  CHECK_EQ(1, epoll_wait(set, &event, 1, 0));
  CHECK_OK(close(set));
  CHECK_OK(close(listener));
  CHECK_OK(close(ends[0]));
  CHECK_OK(close(ends[1]));
}

static void* body(void* argument) {
  void* bad[] = {(void*)8, unmapped, (void*)-4096L, (void*)0x800000000000L};
  for (int i = 0; i < 4; ++i) {
    check_buffers(bad[i]);
    check_sources(bad[i]);
    check_results(bad[i]);
  }
  check_results(read_only);
  return argument;
}

int main(void) {
  char* pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && read_only != MAP_FAILED);
  CHECK_OK(mprotect(pages + 4096, 4096, PROT_NONE));
  unmapped = pages + 4096;
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  pass("in threads");
  body(NULL);
  pass("in the main thread");
  return 0;
}
