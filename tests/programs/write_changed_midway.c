// The descriptor of a large write is closed, or made non-blocking, at any moment: what write says
// that has gone is what comes out, each byte once.
#include <fcntl.h>
#include <sys/socket.h>

#include "check.h"

enum { kBlock = 400000, kPeriod = 251, kWrites = 200, kCloses = 150 };

static unsigned char block[kBlock + kPeriod];
static int ends[2], done;
static sem_t begin, ended;
static ssize_t written;

static void make_pair(void) { CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)); }

// --- non-blocking ---

static void* reads_all(void* argument) {
  static unsigned char part[20000];
  long* total = argument;
  for (;;) {
    const ssize_t n = read(ends[0], part, sizeof part);
    CHECK(n >= 0);
    if (n == 0) return argument;
    for (ssize_t i = 0; i < n; ++i) CHECK_EQ((*total + i) % kPeriod, part[i]);
    *total += n;
  }
}

static void* changes_flag(void* argument) {
  const int flags = fcntl(ends[1], F_GETFL);
  CHECK_OK(flags);
  while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST)) {
    CHECK_OK(fcntl(ends[1], F_SETFL, flags | O_NONBLOCK));
    sched_yield();
    CHECK_OK(fcntl(ends[1], F_SETFL, flags & ~O_NONBLOCK));
    for (int i = 0; i < 5; ++i) sched_yield();
  }
  return argument;
}

static void made_nonblocking(void) {
  make_pair();
  long total = 0, came = 0;
  pthread_t reader = start_thread(reads_all, &came);
  pthread_t changer = start_thread(changes_flag, NULL);
  for (int i = 0; i < kWrites; ++i) {
    const ssize_t n = write(ends[1], block + total % kPeriod, kBlock);
    if (n < 0) {
      CHECK_EQ(EAGAIN, errno);
      sched_yield();
    } else {
      total += n;
    }
  }
  __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
  join_thread(changer);
  CHECK_OK(close(ends[1]));
  join_thread(reader);
  CHECK_EQ(total, came);
  CHECK_OK(close(ends[0]));
}

// --- closed ---

static void* writes_each(void* argument) {
  for (int i = 0; i < kCloses; ++i) {
    sem_take(&begin);
    written = write(ends[1], block, kBlock);
    if (written < 0) {
      CHECK_EQ(EBADF, errno);
      written = 0;
    }
    CHECK_OK(sem_post(&ended));
  }
  return argument;
}

static void closed(void) {
  static unsigned char part[20000];
  pthread_t writer = start_thread(writes_each, NULL);
  for (int i = 0; i < kCloses; ++i) {
    make_pair();
    CHECK_OK(sem_post(&begin));
    for (int k = 0; k < i % 20; ++k) sched_yield();
    CHECK_OK(close(ends[1]));
    long came = 0;
    for (;;) {
      const ssize_t n = read(ends[0], part, sizeof part);
      CHECK(n >= 0);
      if (n == 0) break;
      for (ssize_t k = 0; k < n; ++k) CHECK_EQ((came + k) % kPeriod, part[k]);
      came += n;
    }
    sem_take(&ended);
    CHECK_EQ(written, came);
    CHECK_OK(close(ends[0]));
  }
  join_thread(writer);
}

int main(void) {
  for (int i = 0; i < kBlock + kPeriod; ++i) block[i] = (unsigned char)(i % kPeriod);
  CHECK_OK(sem_init(&begin, 0, 0));
  CHECK_OK(sem_init(&ended, 0, 0));
  made_nonblocking();
  pass("made non-blocking");
  closed();
  pass("closed");
  return 0;
}
