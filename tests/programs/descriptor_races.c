// Threads that wait on numbers of descriptors which other threads close, take over by dup2 and give
// to new files all the time: nobody reads what was written to another file, and nobody waits for
// ever.
#include <netinet/in.h>

#include "check.h"

enum {
  kSlots = 4,
  kFirstNumber = 300,
  kReadersOfSlot = 3,
  kTakeOvers = 150,
  kPrivate = 4,
  kPrivateRounds = 250,
};

// Written whole and read whole: a pipe does not divide what is smaller than PIPE_BUF, and all that
// goes through it has this size.
struct block {
  uint32_t slot, generation;
  unsigned char body[56];
};

static int over;                   // atomic
static unsigned long blocks_read;  // atomic

static void fill(struct block* b, uint32_t slot, uint32_t generation) {
  b->slot = slot;
  b->generation = generation;
  for (size_t i = 0; i < sizeof b->body; ++i)
    b->body[i] = (unsigned char)(slot * 101 + generation * 7 + i);
}

static void check_block(const struct block* b, uint32_t slot) {
  struct block expected;
  CHECK_EQ(slot, b->slot);
  fill(&expected, slot, b->generation);
  CHECK(memcmp(&expected, b, sizeof expected) == 0);
}

// --- numbers that are taken over ---

static void* read_slot(void* argument) {
  const uint32_t slot = (uint32_t)(uintptr_t)argument;
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
    struct block b;
    const ssize_t got = read(kFirstNumber + (int)slot, &b, sizeof b);
    if (got == (ssize_t)sizeof b) {
      check_block(&b, slot);
      __atomic_add_fetch(&blocks_read, 1, __ATOMIC_RELAXED);
    } else {
      if (got != 0) CHECK_EQ(EBADF, errno);
      CHECK(got <= 0);  // 0: the file that it waited on has lost its writer
      sched_yield();
    }
  }
  return NULL;
}

static void* poll_slot(void* argument) {
  const int fd = kFirstNumber + (int)(uintptr_t)argument;
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int ready = poll(&p, 1, 5);
    CHECK(ready == 0 || ready == 1);
    CHECK((p.revents & ~(POLLIN | POLLHUP | POLLNVAL)) == 0);
    sched_yield();
  }
  return NULL;
}

// Each generation is a pipe of its own, whose reading end is nowhere but at the slot's number.
static void* take_over(void* argument) {
  const uint32_t slot = (uint32_t)(uintptr_t)argument;
  const int number = kFirstNumber + (int)slot;
  int writing = -1;
  for (uint32_t generation = 0; generation < kTakeOvers; ++generation) {
    int ends[2];
    CHECK_OK(pipe(ends));
    switch (generation % 4) {
      case 0:
        CHECK_OK(dup2(ends[0], number));
        break;
      case 1:
        CHECK_OK(close(number));
        CHECK_OK(dup3(ends[0], number, O_CLOEXEC));
        break;
      case 2:
        CHECK_OK(close_range((unsigned)number, (unsigned)number, 0));
        CHECK_OK(dup2(ends[0], number));
        break;
      default:
        CHECK_OK(dup3(ends[0], number, 0));
        break;
    }
    CHECK_OK(close(ends[0]));
    // Who still waits on the file before finds its end.
    if (writing >= 0) CHECK_OK(close(writing));
    writing = ends[1];
    for (uint32_t i = 0; i < 1 + generation % 5; ++i) {
      struct block b;
      fill(&b, slot, generation);
      CHECK_EQ(sizeof b, write(writing, &b, sizeof b));
    }
    if (generation % 3 == 0) usleep(200);
  }
  CHECK_OK(close(writing));
  return NULL;
}

// --- numbers that are used again at once ---

static void* echo(void* argument) {
  const int fd = (int)(intptr_t)argument;
  struct block b;
  ssize_t got;
  while ((got = recv(fd, &b, sizeof b, MSG_WAITALL)) == (ssize_t)sizeof b)
    CHECK_EQ(sizeof b, write(fd, &b, sizeof b));
  CHECK_EQ(0, got);
  CHECK_OK(close(fd));
  return NULL;
}

static void* use_again(void* argument) {
  const uint32_t self = 1000 + (uint32_t)(uintptr_t)argument;
  for (uint32_t round = 0; round < kPrivateRounds; ++round) {
    int ends[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    const pthread_t thread = start_thread(echo, (void*)(intptr_t)ends[1]);
    for (uint32_t i = 0; i < 3; ++i) {
      struct block sent, came;
      fill(&sent, self, round * 4 + i);
      CHECK_EQ(sizeof sent, write(ends[0], &sent, sizeof sent));
      CHECK_EQ(sizeof came, recv(ends[0], &came, sizeof came, MSG_WAITALL));
      CHECK(memcmp(&sent, &came, sizeof sent) == 0);
    }
    CHECK_OK(close(ends[0]));
    join_thread(thread);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[64];
  int count = 0;
  for (uintptr_t slot = 0; slot < kSlots; ++slot) {
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(dup2(ends[0], kFirstNumber + (int)slot));
    CHECK_OK(close(ends[0]));
    CHECK_OK(close(ends[1]));
    for (int i = 0; i < kReadersOfSlot; ++i)
      threads[count++] = start_thread(read_slot, (void*)slot);
    threads[count++] = start_thread(poll_slot, (void*)slot);
  }
  pthread_t movers[kSlots], users[kPrivate];
  for (uintptr_t i = 0; i < kSlots; ++i) movers[i] = start_thread(take_over, (void*)i);
  for (uintptr_t i = 0; i < kPrivate; ++i) users[i] = start_thread(use_again, (void*)i);
  for (int i = 0; i < kSlots; ++i) join_thread(movers[i]);
  for (int i = 0; i < kPrivate; ++i) join_thread(users[i]);
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < count; ++i) join_thread(threads[i]);
  CHECK(blocks_read > 0);
  pass("numbers that are taken over");
  pass("numbers that are used again");
  return 0;
}
