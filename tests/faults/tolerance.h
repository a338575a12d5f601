// What the subjects of fault injection have in common: a call that has failed for want of something
// is made again; any other error, and any EINTR (no subject handles a signal), ends the program.
#ifndef TENDRIL_TESTS_FAULTS_TOLERANCE_H_
#define TENDRIL_TESTS_FAULTS_TOLERANCE_H_

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define HELPER static inline __attribute__((unused))

HELPER void broken(const char* what, long result) {
  dprintf(2, "%s: result %ld, errno %d (%s)\n", what, result, errno, strerror(errno));
  _exit(1);
}

// Nothing has happened, and the same call may succeed.
HELPER int is_want(int error) {
  return error == ENOMEM || error == ENOBUFS || error == EMFILE || error == ENFILE ||
         error == ENOSPC;
}

enum { kMostTries = 1000 };

// The result of `call` once it does not fail for want of anything, or of what `also` names.
#define TRY(what, also, call)                                           \
  ({                                                                    \
    long result_ = -1;                                                  \
    for (int tries_ = 0; tries_ < kMostTries; ++tries_) {               \
      result_ = (long)(call);                                           \
      if (result_ != -1 || !(is_want(errno) || errno == (also))) break; \
      sched_yield();                                                    \
    }                                                                   \
    if (result_ == -1) broken(what, result_);                           \
    result_;                                                            \
  })

HELPER pthread_t start(void* (*body)(void*), void* argument) {
  pthread_t thread;
  for (int tries = 0; tries < kMostTries; ++tries) {
    const int error = pthread_create(&thread, NULL, body, argument);
    if (error == 0) return thread;
    errno = error;
    if (error != EAGAIN && error != ENOMEM) break;
    sched_yield();
  }
  broken("pthread_create", -1);
  return thread;
}

HELPER void* join(pthread_t thread) {
  void* result = NULL;
  const int error = pthread_join(thread, &result);
  if (error != 0) broken("pthread_join", error);
  return result;
}

#undef HELPER

#endif  // TENDRIL_TESTS_FAULTS_TOLERANCE_H_
