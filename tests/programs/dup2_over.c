// dup2 over a descriptor puts another file there: whoever reads the number afterwards reads the new
// file, whatever was known or waited for about the old one.
#include "check.h"

static int ends[2];
static sem_t ready, served;

static void expect_byte(int fd, char expected) {
  char c = 0;
  wait_ready(fd, POLLIN);
  CHECK_EQ(1, read(fd, &c, 1));
  CHECK_EQ(expected, c);
}

static pid_t waiter;

// Blocked in read while the number is given to another file. The kernel lets it finish on the old
// one, others wake it with EBADF; it never gets what belongs to the new one.
static void* reads_old(void* argument) {
  char c = 0;
  __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST);
  ssize_t n = read(*(int*)argument, &c, 1);
  CHECK(n == 1 ? c == 'o' : n == -1 && errno == EBADF);
  return NULL;
}

static void* reads_by_number(void* argument) {
  int fd = *(int*)argument;
  for (char expected = 'a'; expected <= 'z'; ++expected) {
    sem_take(&ready);
    char c = 0;
    CHECK_EQ(1, read(fd, &c, 1));
    CHECK_EQ(expected, c);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(0, poll(&p, 1, 0));
    CHECK_OK(sem_post(&served));
  }
  return NULL;
}

static void make(int kind, int fds[2]) {
  if (kind % 2) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  } else {
    CHECK_OK(pipe(fds));
  }
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK_OK(sem_init(&served, 0, 0));
  for (int kind = 0; kind < 4; ++kind) {
    int old[2], new[2];
    make(kind, old);
    make(kind / 2, new);
    pthread_t thread = start_thread(reads_old, &old[0]);
    settle_blocked(&waiter);
    CHECK_EQ(old[0], kind < 2 ? dup2(new[0], old[0]) : dup3(new[0], old[0], O_CLOEXEC));
    CHECK_EQ(1, write(new[1], "n", 1));
    expect_byte(old[0], 'n');
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    (void)!write(old[1], "o", 1);
    join_thread(thread);
    CHECK_OK(close(old[0]));
    CHECK_OK(close(new[0]));
    CHECK_OK(close(new[1]));
    CHECK_OK(close(old[1]));
  }
  pass("over a descriptor that is waited for");

  // The reader waits on one file after the other under the same number.
  CHECK_OK(pipe(ends));
  int number = ends[0];
  pthread_t thread = start_thread(reads_by_number, &number);
  for (char c = 'a'; c <= 'z'; ++c) {
    int next[2];
    make(c, next);
    CHECK_EQ(number, dup2(next[0], number));
    CHECK_OK(close(next[0]));
    CHECK_OK(sem_post(&ready));
    if (c % 3) settle();  // mostly it blocks before the byte comes
    CHECK_EQ(1, write(next[1], &c, 1));
    sem_take(&served);
    CHECK_OK(close(ends[1]));
    ends[1] = next[1];
  }
  join_thread(thread);
  CHECK_OK(close(number));
  pass("in turn, many times");
  return 0;
}
