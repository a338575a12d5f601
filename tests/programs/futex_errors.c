// What the futex system call refuses: EINVAL, EFAULT and ENOSYS, in a threaded process.
#include <sys/mman.h>

#include "check.h"
#include "futex.h"

static void* body(void* argument) {
  uint32_t words[2] = {0, 0};
  struct timespec soon = {0, 1000}, bad = {0, 1000000000}, negative = {-1, 0};
  char* unaligned = (char*)words + 1;
  void* nowhere = (void*)8;

  CHECK_ERRNO(EINVAL, futex(unaligned, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(unaligned, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  CHECK_ERRNO(EINVAL, futex2(words, FUTEX_REQUEUE_PRIVATE, 1, 1, unaligned, 0));
  CHECK_ERRNO(EINVAL, futex(words, FUTEX_WAIT_PRIVATE, 0, &bad, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(words, FUTEX_WAIT_PRIVATE, 0, &negative, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(words, FUTEX_WAIT_BITSET_PRIVATE, 0, &soon, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(words, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0));

  CHECK_ERRNO(EFAULT, futex(nowhere, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
  CHECK_ERRNO(EFAULT, futex(nowhere, FUTEX_WAIT, 0, &soon, NULL, 0));
  CHECK_ERRNO(EFAULT, futex(words, FUTEX_WAIT_PRIVATE, 0, nowhere, NULL, 0));
  CHECK_ERRNO(EFAULT, futex2(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, (void*)-4096L, 0));
  CHECK_ERRNO(EFAULT, futex2(words, FUTEX_WAKE_OP_PRIVATE, 1, 1, nowhere,
                             FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0)));

  CHECK_ERRNO(ENOSYS, futex(words, 100, 0, NULL, NULL, 0));
  CHECK_ERRNO(ENOSYS, futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
  CHECK_ERRNO(EPERM, futex(words, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  return argument;
}

int main(void) {
  join_thread(start_thread(body, NULL));
  pass("in a thread");
  body(NULL);
  pass("in the main thread");

  // Waking does not read the word: it need not even be mapped readable.
  uint32_t* page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  CHECK_EQ(0, futex(page, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  struct timespec soon = {0, 1000};
  CHECK_ERRNO(EFAULT, futex(page, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
  pass("an unreadable word");
  return 0;
}
