// malloc, realloc and free in fifty threads, blocks freed by other threads than made them, with
// switches in between: no block overlaps another.
#include <malloc.h>

#include "check.h"

enum { kThreads = 50, kSlots = 64, kRounds = 3000 };

struct block {
  size_t size;
  unsigned char tag;
  unsigned char bytes[];
};

static struct block* slots[kSlots];
static pthread_mutex_t mutexes[kSlots];

static void fill(struct block* block, size_t size, unsigned char tag) {
  block->size = size;
  block->tag = tag;
  memset(block->bytes, tag, size);
}

static void check(const struct block* block) {
  for (size_t i = 0; i < block->size; i += i < 64 ? 1 : 61) {
    CHECK_EQ(block->tag, block->bytes[i]);
  }
}

static void* storms(void* argument) {
  unsigned state = (unsigned)(intptr_t)argument * 7919 + 1;
  for (int round = 0; round < kRounds; ++round) {
    state = state * 1103515245 + 12345;
    size_t size = (state >> 8) % 2000;
    if (state % 200 == 0) size += 200000;  // large ones are mapped
    int slot = (int)((state >> 20) % kSlots);
    struct block* block = malloc(sizeof *block + size);
    CHECK(block != NULL);
    CHECK(((uintptr_t)block & 15) == 0);
    fill(block, size, (unsigned char)state);
    if (state % 16 == 0) sched_yield();

    CHECK_RC(pthread_mutex_lock(&mutexes[slot]));
    struct block* other = slots[slot];
    slots[slot] = block;
    CHECK_RC(pthread_mutex_unlock(&mutexes[slot]));
    if (!other) continue;
    check(other);
    if (state % 3 == 0) {
      other = realloc(other, sizeof *other + other->size + 500);
      CHECK(other != NULL);
      check(other);
    }
    if (state % 500 == 0) usleep(10);
    free(other);
    if (state % 11 == 0) {
      void* aligned = NULL;
      CHECK_RC(posix_memalign(&aligned, 256, size + 1));
      CHECK(((uintptr_t)aligned & 255) == 0);
      free(aligned);
      unsigned char* zero = calloc(size + 1, 1);
      for (size_t i = 0; i < size; i += 37) CHECK_EQ(0, zero[i]);
      free(zero);
    }
  }
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kSlots; ++i) CHECK_RC(pthread_mutex_init(&mutexes[i], NULL));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(storms, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kSlots; ++i) {
    if (slots[i]) check(slots[i]);
    free(slots[i]);
  }
  malloc_trim(0);
  pass("fifty threads");
  return 0;
}
