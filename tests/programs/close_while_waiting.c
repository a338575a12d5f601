// A descriptor is closed while a thread waits on it, and its number is used by a new file at once:
// the waiter never takes what belongs to the new file. (The kernel lets it finish on the old file;
// being woken with EBADF is as good.)
#include "net.h"

static pid_t waiter;

static void blocks_next(void) { __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST); }

static void* reads_old(void* argument) {
  char c = 0;
  blocks_next();
  ssize_t n = read(*(int*)argument, &c, 1);
  CHECK(n == 1 ? c == 'o' : n == -1 && errno == EBADF);
  return NULL;
}

static void* writes_old(void* argument) {
  static char block[1 << 20];
  blocks_next();
  ssize_t n = write(*(int*)argument, block, sizeof block);
  CHECK(n > 0 || errno == EBADF);
  return NULL;
}

static void* polls_old(void* argument) {
  struct pollfd p = {*(int*)argument, POLLIN, 0};
  int n = poll(&p, 1, 300);
  CHECK(n == 0 || (n == 1 && p.revents != 0));
  return NULL;
}

static void make(int socket, int fds[2]) {
  if (socket) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  } else {
    CHECK_OK(pipe(fds));
  }
}

int main(void) {
  CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  for (int kind = 0; kind < 4; ++kind) {
    int old[2], new[2];
    make(kind & 1, old);
    int number = old[0];
    pthread_t thread = start_thread(reads_old, &number);
    settle_blocked(&waiter);
    CHECK_OK(close(number));
    make(kind >> 1, new);
    CHECK_EQ(number, new[0]);  // the lowest free number
    CHECK_EQ(1, write(new[1], "n", 1));
    usleep(2000);
    char c = 0;
    read_all(new[0], &c, 1);
    CHECK_EQ('n', c);
    (void)!write(old[1], "o", 1);
    CHECK_OK(close(old[1]));
    join_thread(thread);
    CHECK_OK(close(new[0]));
    CHECK_OK(close(new[1]));
  }
  pass("a reader");

  int old[2], new[2];
  make(0, old);
  int number = old[1];
  pthread_t thread = start_thread(writes_old, &number);
  settle_blocked(&waiter);
  CHECK_OK(close(number));
  make(1, new);
  CHECK_EQ(number, new[0]);
  settle();
  struct pollfd p = {new[1], POLLIN, 0};
  CHECK_EQ(0, poll(&p, 1, 0));  // nothing of the old write went into the new file
  CHECK_OK(close(old[0]));
  join_thread(thread);
  CHECK_OK(close(number));
  CHECK_OK(close(new[1]));
  pass("a writer");

  make(1, old);
  thread = start_thread(polls_old, &old[0]);
  settle();
  CHECK_OK(close(old[0]));
  join_thread(thread);
  CHECK_OK(close(old[1]));
  pass("poll");

  char c;
  CHECK_ERRNO(EBADF, read(old[0], &c, 1));
  CHECK_ERRNO(EBADF, close(old[0]));
  CHECK_ERRNO(EBADF, dup2(old[0], 50));
  pass("EBADF afterwards");
  return 0;
}
