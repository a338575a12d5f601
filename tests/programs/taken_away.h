// For programs in which a number is closed or replaced while another thread waits on it.
#ifndef TENDRIL_TESTS_PROGRAMS_TAKEN_AWAY_H_
#define TENDRIL_TESTS_PROGRAMS_TAKEN_AWAY_H_

#include "check.h"

#define HELPER static inline __attribute__((unused))

static pid_t waiter;  // the tid of a thread that is about to wait
HELPER void about_to_wait(void) { __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST); }

// How the number of a descriptor is taken away.
enum How { kClose, kCloseRange, kReplace, kHows };
HELPER void take_away(int fd, enum How how) {
  if (how == kClose) CHECK_OK(close(fd));
  if (how == kCloseRange) CHECK_OK(close_range((unsigned)fd, (unsigned)fd, 0));
  if (how == kReplace) {  // by another pipe, which has something to say
    int other[2];
    CHECK_OK(pipe(other));
    CHECK_EQ(5, write(other[1], "wrong", 5));
    CHECK_EQ(fd, dup2(other[0], fd));
    CHECK_OK(close(other[0]));
    CHECK_OK(close(other[1]));
  }
}
HELPER void give_back(int fd, enum How how) {
  if (how != kReplace) return;
  char text[8];
  CHECK_EQ(5, read(fd, text, sizeof text));
  CHECK_OK(close(fd));
}

#undef HELPER

#endif  // TENDRIL_TESTS_PROGRAMS_TAKEN_AWAY_H_
