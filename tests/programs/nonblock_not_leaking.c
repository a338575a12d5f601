// While a thread is blocked on a descriptor, nobody who shares the open file sees O_NONBLOCK: not
// another thread, not a dup, not a child, and not the kernel's own record of the file.
#include "net.h"

enum { kFiles = 5 };

static int fds[kFiles];   // what the threads block on
static int ends[kFiles];  // what wakes them
static struct sockaddr_in address;

static void* reads(void* argument) {
  char c = 0;
  CHECK_EQ(1, read(*(int*)argument, &c, 1));
  CHECK_EQ('w', c);
  return NULL;
}

static void* receives(void* argument) {
  char c = 0;
  CHECK_EQ(1, recv(*(int*)argument, &c, 1, 0));
  CHECK_EQ('w', c);
  return NULL;
}

static void* accepts(void* argument) {
  int fd = accept(*(int*)argument, NULL, NULL);
  CHECK_OK(fd);
  CHECK_OK(close(fd));
  return NULL;
}

static void* writes(void* argument) {
  static char block[1 << 20];
  CHECK_EQ(sizeof block, write(*(int*)argument, block, sizeof block));
  return NULL;
}

static int flags_in_kernel(int fd) {
  char name[64], line[128];
  int flags = -1;
  snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
  FILE* file = fopen(name, "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "flags: %o", (unsigned*)&flags) == 1) break;
  }
  fclose(file);
  return flags;
}

static void check_blocking(void) {
  for (int i = 0; i < kFiles; ++i) {
    CHECK_EQ(0, fcntl(fds[i], F_GETFL) & O_NONBLOCK);
    CHECK_EQ(0, flags_in_kernel(fds[i]) & O_NONBLOCK);
    int copy = dup(fds[i]);
    CHECK_OK(copy);
    CHECK_EQ(0, fcntl(copy, F_GETFL) & O_NONBLOCK);
    CHECK_OK(close(copy));
  }
}

int main(void) {
  int pair[2];
  CHECK_OK(pipe(pair));
  fds[0] = pair[0], ends[0] = pair[1];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  fds[1] = pair[0], ends[1] = pair[1];
  tcp_pair(pair);
  fds[2] = pair[0], ends[2] = pair[1];
  fds[3] = tcp_listener(&address, 5);
  CHECK_OK(pipe(pair));
  fds[4] = pair[1], ends[4] = pair[0];

  void* (*bodies[kFiles])(void*) = {reads, reads, receives, accepts, writes};
  pthread_t threads[kFiles];
  for (int i = 0; i < kFiles; ++i) threads[i] = start_thread(bodies[i], &fds[i]);
  for (int i = 0; i < 10; ++i) {
    check_blocking();
    usleep(2000);
  }
  pass("seen by this process");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    check_blocking();
    _exit(9);
  }
  CHECK_EXITED(9, child);
  pass("seen by a child");

  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_EQ(1, write(ends[1], "w", 1));
    _exit(10);
  }
  CHECK_EXITED(10, child);
  join_thread(threads[1]);
  CHECK_EQ(1, write(ends[0], "w", 1));
  CHECK_EQ(1, write(ends[2], "w", 1));
  int client = tcp_connect(&address);
  static char block[1 << 20];
  read_all(ends[4], block, sizeof block);
  for (int i = 0; i < kFiles; ++i) {
    if (i != 1) join_thread(threads[i]);
  }
  check_blocking();
  CHECK_OK(close(client));
  pass("and afterwards");
  return 0;
}
