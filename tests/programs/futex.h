// The futex system call, which libc does not wrap.
#ifndef TENDRIL_TESTS_PROGRAMS_FUTEX_H_
#define TENDRIL_TESTS_PROGRAMS_FUTEX_H_

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline long futex(void* word, int op, uint32_t value, const struct timespec* timeout,
                         void* word2, uint32_t value3) {
  return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

// For the operations that take a second number where others take a timeout.
static inline long futex2(void* word, int op, uint32_t value, uint32_t value2, void* word2,
                          uint32_t value3) {
  return syscall(SYS_futex, word, op, value, (unsigned long)value2, word2, value3);
}

#endif  // TENDRIL_TESTS_PROGRAMS_FUTEX_H_
