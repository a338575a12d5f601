// Rings that are for one thread alone, descriptors of rings that a thread registers, and what of
// io_uring_enter waits. Where the Linux kernel makes no such ring, or none at all,
// there is nothing to see of it.
#include <linux/io_uring.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "check.h"

// Newer than some headers.
enum {
  kSingleIssuer = 1 << 12,
  kDeferTaskrun = 1 << 13,
  kEnableRings = 12,
  kRegisterRingFds = 20,
  kRegisteredRing = 1 << 4,
  kEntries = 4
};

struct ring {
  int fd;
  struct io_uring_params params;
  char* shared;
  struct io_uring_sqe* entries;
};

static bool make_ring(struct ring* ring, unsigned flags) {
  memset(ring, 0, sizeof *ring);
  ring->params.flags = flags;
  ring->fd = (int)syscall(SYS_io_uring_setup, kEntries, &ring->params);
  if (ring->fd == -1) {
    CHECK(errno == EINVAL || errno == ENOSYS || errno == EPERM);
    return false;
  }
  CHECK_EQ(flags, ring->params.flags);
  size_t size = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
  ring->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
  CHECK(ring->shared != MAP_FAILED);
  ring->entries = mmap(NULL, kEntries * sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED,
                       ring->fd, IORING_OFF_SQES);
  CHECK(ring->entries != MAP_FAILED);
  return true;
}

static unsigned* word(struct ring* ring, unsigned offset) {
  return (unsigned*)(ring->shared + offset);
}

static void add(struct ring* ring, struct io_uring_sqe entry) {
  unsigned* tail = word(ring, ring->params.sq_off.tail);
  unsigned place = *tail & *word(ring, ring->params.sq_off.ring_mask);
  ring->entries[place] = entry;
  word(ring, ring->params.sq_off.array)[place] = place;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

// The result of the next request that is complete.
static int take(struct ring* ring) {
  unsigned* head = word(ring, ring->params.cq_off.head);
  CHECK(*head != __atomic_load_n(word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE));
  struct io_uring_cqe* all = (struct io_uring_cqe*)(ring->shared + ring->params.cq_off.cqes);
  int result = all[*head & *word(ring, ring->params.cq_off.ring_mask)].res;
  __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  return result;
}

static struct io_uring_sqe read_of(int fd, void* buffer, unsigned size) {
  struct io_uring_sqe entry;
  memset(&entry, 0, sizeof entry);
  entry.opcode = IORING_OP_READ;
  entry.fd = fd;
  entry.addr = (uintptr_t)buffer;
  entry.len = size;
  return entry;
}

static long enter(int fd, unsigned submit, unsigned least, unsigned flags) {
  return syscall(SYS_io_uring_enter, fd, submit, least, flags, NULL, 0);
}

enum { kThreads = 3, kRounds = 50 };

struct echo {
  int pipe[2];
  int answer[2];
  unsigned flags;
  bool registers;
};

static void* read_by_ring(void* argument) {
  struct echo* echo = argument;
  struct ring ring;
  bool made = make_ring(&ring, echo->flags);
  int fd = ring.fd;
  unsigned flags = IORING_ENTER_GETEVENTS;
  struct io_uring_rsrc_update wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.offset = UINT_MAX;
  wanted.data = (unsigned long)ring.fd;
  if (made && echo->registers &&
      syscall(SYS_io_uring_register, ring.fd, kRegisterRingFds, &wanted, 1) == 1) {
    fd = (int)wanted.offset;
    flags |= kRegisteredRing;
  }
  for (int i = 0; i < kRounds; ++i) {
    char byte = 0;
    if (made) {
      add(&ring, read_of(echo->pipe[0], &byte, 1));
      CHECK_EQ(1, enter(fd, 1, i % 2, flags));
      if (i % 2 == 0) CHECK_EQ(0, enter(fd, 0, 1, flags));
      CHECK_EQ(1, take(&ring));
    } else {
      read_all(echo->pipe[0], &byte, 1);
    }
    CHECK_EQ(i, byte);
    CHECK_EQ(1, write(echo->answer[1], &byte, 1));
  }
  if (made) close(ring.fd);
  return NULL;
}

static void test_echoes(unsigned flags, bool registers) {
  struct echo echoes[kThreads];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    CHECK_OK(pipe(echoes[i].pipe));
    CHECK_OK(pipe(echoes[i].answer));
    echoes[i].flags = flags;
    echoes[i].registers = registers;
    threads[i] = start_thread(read_by_ring, &echoes[i]);
  }
  for (char round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kThreads; ++i) CHECK_EQ(1, write(echoes[i].pipe[1], &round, 1));
    for (int i = 0; i < kThreads; ++i) {
      char came;
      read_all(echoes[i].answer[0], &came, 1);
      CHECK_EQ(round, came);
    }
  }
  for (int i = 0; i < kThreads; ++i) {
    join_thread(threads[i]);
    for (int end = 0; end < 2; ++end) {
      close(echoes[i].pipe[end]);
      close(echoes[i].answer[end]);
    }
  }
}

static void* enable(void* argument) {
  struct ring* ring = argument;
  CHECK_OK(syscall(SYS_io_uring_register, ring->fd, kEnableRings, NULL, 0));
  return NULL;
}

static void test_enabled_by_another(void) {
  struct ring ring;
  if (!make_ring(&ring, kSingleIssuer | IORING_SETUP_R_DISABLED)) return;
  CHECK_ERRNO(EBADFD, enter(ring.fd, 0, 0, IORING_ENTER_GETEVENTS));
  join_thread(start_thread(enable, &ring));
  char byte;
  add(&ring, read_of(0, &byte, 1));
  CHECK_ERRNO(EEXIST, enter(ring.fd, 1, 0, 0));
  close(ring.fd);
}

// The first of three is refused: the others are not submitted, and there is no wait.
static void test_not_all_submitted(void) {
  struct ring ring;
  if (!make_ring(&ring, 0)) return;
  char byte;
  struct io_uring_sqe bad = read_of(0, &byte, 1);
  bad.opcode = 255;
  add(&ring, bad);
  add(&ring, bad);
  add(&ring, bad);
  CHECK_EQ(1, enter(ring.fd, 3, 2, IORING_ENTER_GETEVENTS));
  CHECK_EQ(-EINVAL, take(&ring));
  close(ring.fd);
}

static volatile int handled;
static void on_signal(int signal) { handled = signal; }

static void* send_signal(void* argument) {
  settle();
  CHECK_RC(pthread_kill(*(pthread_t*)argument, SIGUSR1));
  return NULL;
}

// SIGUSR1 is blocked but while the call waits.
static void test_masked_waits(void) {
  sigset_t blocked, none, now;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
  signal(SIGUSR1, on_signal);
  pthread_t self = pthread_self();
  struct ring ring;
  if (make_ring(&ring, 0)) {
    handled = 0;
    pthread_t sender = start_thread(send_signal, &self);
    CHECK_ERRNO(EINTR, syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, &none,
                               _NSIG / 8));
    CHECK_EQ(SIGUSR1, handled);
    join_thread(sender);
    handled = 0;
    sender = start_thread(send_signal, &self);
    struct timespec limit = from_ns(MS(kBoundMs));
    struct io_uring_getevents_arg extended;
    memset(&extended, 0, sizeof extended);
    extended.sigmask = (uintptr_t)&none;
    extended.sigmask_sz = _NSIG / 8;
    extended.ts = (uintptr_t)&limit;
    CHECK_ERRNO(EINTR,
                syscall(SYS_io_uring_enter, ring.fd, 0, 1,
                        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &extended, sizeof extended));
    CHECK_EQ(SIGUSR1, handled);
    join_thread(sender);
    close(ring.fd);
  }
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  CHECK_EQ(1, sigismember(&now, SIGUSR1));
}

static void* write_bytes(void* argument) {
  for (char i = 0; i < kRounds; ++i) {
    if (i % 10 == 0) settle();
    CHECK_EQ(1, write(*(int*)argument, &i, 1));
  }
  return NULL;
}

// What the process's only thread made is still its own when there are others.
static void read_by_first_ring(struct ring* ring, int fd, unsigned flags, const int ends[2]) {
  sigset_t blocked, none;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_t thread = start_thread(write_bytes, (void*)&ends[1]);
  for (char i = 0; i < kRounds; ++i) {
    char byte = -1;
    add(ring, read_of(ends[0], &byte, 1));
    CHECK_EQ(1, enter(fd, 1, 1, IORING_ENTER_GETEVENTS | flags));
    CHECK_EQ(1, take(ring));
    CHECK_EQ(i, byte);
  }
  join_thread(thread);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
  signal(SIGUSR1, on_signal);
  handled = 0;
  pthread_t self = pthread_self();
  thread = start_thread(send_signal, &self);
  CHECK_ERRNO(EINTR, syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | flags, &none,
                             _NSIG / 8));
  CHECK_EQ(SIGUSR1, handled);
  join_thread(thread);
}

int main(void) {
  struct ring first, registered;
  const bool has_first = make_ring(&first, kSingleIssuer | kDeferTaskrun);
  const bool has_registered = make_ring(&registered, 0);
  struct io_uring_rsrc_update number;
  memset(&number, 0, sizeof number);
  number.offset = UINT_MAX;
  number.data = (unsigned long)registered.fd;
  const bool is_registered = has_registered && syscall(SYS_io_uring_register, registered.fd,
                                                       kRegisterRingFds, &number, 1) == 1;
  int ends[2];
  CHECK_OK(pipe(ends));
  be_threaded();
  if (has_first) read_by_first_ring(&first, first.fd, 0, ends);
  if (is_registered) read_by_first_ring(&registered, (int)number.offset, kRegisteredRing, ends);
  pass("rings made before there were threads");
  test_echoes(0, false);
  pass("rings");
  test_echoes(kSingleIssuer, false);
  pass("rings with one issuer");
  test_echoes(kSingleIssuer | kDeferTaskrun, false);
  pass("rings whose issuer does the work");
  test_echoes(0, true);
  test_echoes(kSingleIssuer | kDeferTaskrun, true);
  pass("registered rings");
  test_enabled_by_another();
  pass("enabled by another thread");
  test_not_all_submitted();
  pass("not all submitted");
  test_masked_waits();
  pass("waits with a mask");
  return 0;
}
