// Descriptors passed over a Unix socket: recvmsg in a blocked thread gets them, each byte with its
// own, and they work.
#include "check.h"

enum { kRounds = 50 };

static int pair[2];

static void send_fds(int socket, char byte, const int* fds, int n) {
  struct iovec part = {&byte, 1};
  char control[CMSG_SPACE(sizeof(int) * 4)];
  memset(control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (n > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)n);
  }
  CHECK_EQ(1, sendmsg(socket, &message, MSG_NOSIGNAL));
}

// Receives into a large buffer, as programs do: descriptors delimit what one call returns.
static int receive_fds(int socket, char* bytes, size_t size, int flags, int fds[4]) {
  struct iovec part = {bytes, size};
  char control[CMSG_SPACE(sizeof(int) * 4)];
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK_EQ(1, recvmsg(socket, &message, flags));
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (!header) return 0;
  CHECK_EQ(SCM_RIGHTS, header->cmsg_type);
  size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(fds, CMSG_DATA(header), n * sizeof(int));
  return (int)n;
}

static void* sends(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    int ends[2];
    CHECK_OK(pipe(ends));
    char text = (char)('A' + i % 26);
    CHECK_EQ(1, write(ends[1], &text, 1));
    send_fds(pair[1], (char)i, ends, 2);
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    if (i % 10 == 0) usleep(2000);
  }
  send_fds(pair[1], 'n', NULL, 0);
  return argument;
}

static void* receives(void* argument) {
  char bytes[100];
  int fds[4];
  for (int i = 0; i < kRounds; ++i) {
    int flags = i % 2 ? MSG_CMSG_CLOEXEC : 0;
    CHECK_EQ(2, receive_fds(pair[0], bytes, sizeof bytes, flags, fds));
    CHECK_EQ(i, bytes[0]);
    CHECK_EQ(flags ? FD_CLOEXEC : 0, fcntl(fds[0], F_GETFD));
    char text;
    CHECK_EQ(1, read(fds[0], &text, 1));
    CHECK_EQ('A' + i % 26, text);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &text, 1));
    CHECK_OK(close(fds[0]));
  }
  CHECK_EQ(0, receive_fds(pair[0], bytes, sizeof bytes, 0, fds));
  CHECK_EQ('n', bytes[0]);
  return argument;
}

int main(void) {
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t receiver = start_thread(receives, NULL);
  settle();
  pthread_t sender = start_thread(sends, NULL);
  join_thread(sender);
  join_thread(receiver);
  pass("between threads");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    join_thread(start_thread(sends, NULL));
    _exit(0);
  }
  join_thread(start_thread(receives, NULL));
  CHECK_EXITED(0, child);
  pass("from another process");
  return 0;
}
