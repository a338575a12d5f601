// Thread-local variables and pthread_setspecific values belong to their thread, whatever the
// others do while it is blocked.
#include "check.h"

enum { kThreads = 40, kRounds = 50 };

static __thread int counter = 5;
static __thread char zeroed[40000];
static __thread struct {
  int tag;
  void* self;
} record = {77, NULL};
__thread int exported_counter = 9;

static pthread_key_t keys[100];
static int destroyed[kThreads];
static pthread_barrier_t barrier;

static void destroy(void* value) { ++destroyed[*(int*)value]; }

static void* body(void* argument) {
  int id = (int)(intptr_t)argument;
  CHECK_EQ(5, counter);
  CHECK_EQ(77, record.tag);
  CHECK_EQ(9, exported_counter);
  for (size_t i = 0; i < sizeof zeroed; i += 100) CHECK_EQ(0, zeroed[i]);
  for (int k = 0; k < 100; ++k) CHECK(pthread_getspecific(keys[k]) == NULL);

  int mine = id;
  record.self = &mine;
  for (int k = 0; k < 100; ++k) CHECK_RC(pthread_setspecific(keys[k], k == 99 ? NULL : &mine));
  for (int round = 0; round < kRounds; ++round) {
    counter = id * 1000 + round;
    exported_counter = -counter;
    zeroed[id * 1000] = (char)round;
    pthread_barrier_wait(&barrier);
    CHECK_EQ(id * 1000 + round, counter);
    CHECK_EQ(-counter, exported_counter);
    CHECK_EQ(round, zeroed[id * 1000]);
    CHECK_EQ(0, zeroed[(id + 1) % kThreads * 1000]);
    CHECK(record.self == &mine);
    CHECK(pthread_getspecific(keys[round]) == &mine);
  }
  // What the destructors of the keys get must outlive this frame.
  static int ids[kThreads];
  ids[id] = id;
  for (int k = 0; k < 99; ++k) CHECK_RC(pthread_setspecific(keys[k], &ids[id]));
  return &counter;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (int k = 0; k < 100; ++k) CHECK_RC(pthread_key_create(&keys[k], destroy));
  counter = 123456;
  CHECK_RC(pthread_setspecific(keys[0], &barrier));

  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < kThreads; ++i) CHECK(join_thread(threads[i]) != &counter);
  pass("thread-locals across blocking calls");

  for (int i = 0; i < kThreads; ++i) CHECK_EQ(99, destroyed[i]);
  pass("destructors of the keys, once for each value");

  CHECK_EQ(123456, counter);
  CHECK(pthread_getspecific(keys[0]) == &barrier);
  pass("the main thread's values are untouched");
  return 0;
}
