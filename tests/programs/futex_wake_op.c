// FUTEX_WAKE_OP by the raw system call: the operation on the second word, the comparison with its
// old value, and who is woken.
#include "check.h"
#include "futex.h"

static uint32_t first, second;
static int returned;

static void* waits(void* argument) {
  uint32_t* word = argument;
  struct timespec limit = from_ns(MS(kBoundMs));
  uint32_t value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  CHECK_EQ(0, futex(word, FUTEX_WAIT_PRIVATE, value, &limit, NULL, 0));
  __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
  return argument;
}

static void check_op(uint32_t old, int op, uint32_t argument, uint32_t expected) {
  second = old;
  uint32_t code = FUTEX_OP(op, argument, FUTEX_OP_CMP_EQ, 0);
  CHECK_EQ(0, futex2(&first, FUTEX_WAKE_OP_PRIVATE, 1, 1, &second, code));
  CHECK_EQ(expected, second);
}

// Starts a waiter on each word and wakes with a comparison of the second word's old value 5.
static void check_compare(int compare, uint32_t with, int both) {
  second = 5;
  returned = 0;
  pthread_t a = start_thread(waits, &first), b = start_thread(waits, &second);
  uint32_t code = FUTEX_OP(FUTEX_OP_SET, 5, compare, with);
  int woken = 0;
  for (int64_t begin = mono_ns(); woken < 1 + both;) {
    long now = futex2(&first, FUTEX_WAKE_OP_PRIVATE, 10, 10, &second, code);
    CHECK(now >= 0);
    woken += (int)now;
    CHECK(mono_ns() - begin < MS(kBoundMs));
    if (woken < 1 + both) usleep(500);
  }
  CHECK_EQ(1 + both, woken);
  join_thread(a);
  if (!both) {
    usleep(1000);
    CHECK_EQ(0, futex2(&first, FUTEX_WAKE_OP_PRIVATE, 10, 10, &second, code));
    CHECK_EQ(1, __atomic_load_n(&returned, __ATOMIC_SEQ_CST));
    while (futex(&second, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 1) usleep(500);
  }
  join_thread(b);
}

int main(void) {
  be_threaded();
  check_op(3, FUTEX_OP_SET, 9, 9);
  check_op(3, FUTEX_OP_ADD, 9, 12);
  check_op(3, FUTEX_OP_ADD, 0xfff, 2);  // the argument is a signed number of 12 bits
  check_op(3, FUTEX_OP_OR, 12, 15);
  check_op(15, FUTEX_OP_ANDN, 6, 9);
  check_op(15, FUTEX_OP_XOR, 6, 9);
  check_op(1, FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, 17);
  pass("operations");

  check_compare(FUTEX_OP_CMP_EQ, 5, 1);
  check_compare(FUTEX_OP_CMP_EQ, 4, 0);
  check_compare(FUTEX_OP_CMP_NE, 4, 1);
  check_compare(FUTEX_OP_CMP_NE, 5, 0);
  check_compare(FUTEX_OP_CMP_LT, 6, 1);
  check_compare(FUTEX_OP_CMP_LT, 5, 0);
  check_compare(FUTEX_OP_CMP_LE, 5, 1);
  check_compare(FUTEX_OP_CMP_LE, 4, 0);
  check_compare(FUTEX_OP_CMP_GT, 4, 1);
  check_compare(FUTEX_OP_CMP_GT, 5, 0);
  check_compare(FUTEX_OP_CMP_GE, 5, 1);
  check_compare(FUTEX_OP_CMP_GE, 6, 0);
  pass("comparisons");

  uint32_t unknown = FUTEX_OP(7, 1, FUTEX_OP_CMP_EQ, 0);
  CHECK_ERRNO(ENOSYS, futex2(&first, FUTEX_WAKE_OP_PRIVATE, 1, 1, &second, unknown));
  pass("an unknown operation");
  return 0;
}
