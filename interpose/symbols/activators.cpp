// Functions that create threads: the first of them makes the process green.
#include <aio.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <threads.h>
#include <time.h>

#include <cerrno>
#include <cstdarg>

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "interpose/symbols/libc.hpp"
#include "interpose/trap/selector.hpp"
#include "runtime/platform/thread_registers.hpp"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// While the C library makes a thread.
class ThreadInTheMaking {
 public:
  ThreadInTheMaking() noexcept { tendril::kernel::is_making_thread = true; }
  ~ThreadInTheMaking() { tendril::kernel::is_making_thread = false; }
  ThreadInTheMaking(const ThreadInTheMaking&) = delete;
  ThreadInTheMaking& operator=(const ThreadInTheMaking&) = delete;
};

// Threads that libraries make from runtime code (libuv's pool, on a hub) stay native. False when
// there is nothing left to make one from. What activation asks libc for leaves no trace in errno.
bool before_thread() noexcept {
  if (tendril::kernel::is_active()) return true;
  const int before = errno;
  const bool active = tendril::kernel::activate();
  errno = before;
  return active;
}

int refuse(int error) noexcept {
  errno = error;
  return -1;
}

bool notifies_by_thread(const sigevent* event) noexcept {
  return event != nullptr && event->sigev_notify == SIGEV_THREAD;
}

}  // namespace

EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                          void* (*function)(void*), void* argument) {
  if (!before_thread()) return EAGAIN;
  const ThreadInTheMaking making;
  return tendril::symbols::libc_pthread_create(thread, attributes, function, argument);
}

TENDRIL_LIBC_FUNCTION(thrd_create)
EXPORT int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  if (!before_thread()) return thrd_nomem;
  const ThreadInTheMaking making;
  return TENDRIL_LIBC(thrd_create)(thread, function, argument);
}

// Only a clone that makes a thread matters here; glibc passes the optional arguments on unseen, and
// so do we: they are pointers or absent.
TENDRIL_LIBC_FUNCTION(clone)
EXPORT int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) {
  va_list rest;
  va_start(rest, argument);
  auto* parent_tid = va_arg(rest, pid_t*);
  void* tls = va_arg(rest, void*);
  auto* child_tid = va_arg(rest, pid_t*);
  va_end(rest);
  if ((flags & CLONE_THREAD) != 0 && !before_thread()) return refuse(EAGAIN);
  return TENDRIL_LIBC(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
}

TENDRIL_LIBC_FUNCTION(timer_create)
EXPORT int timer_create(clockid_t clock, sigevent* event, timer_t* timer) noexcept {
  if (notifies_by_thread(event) && !before_thread()) return refuse(EAGAIN);
  return TENDRIL_LIBC(timer_create)(clock, event, timer);
}

TENDRIL_LIBC_FUNCTION(mq_notify)
EXPORT int mq_notify(mqd_t queue, const sigevent* event) noexcept {
  if (notifies_by_thread(event) && !before_thread()) return refuse(ENOMEM);
  return TENDRIL_LIBC(mq_notify)(queue, event);
}

TENDRIL_LIBC_FUNCTION(getaddrinfo_a)
EXPORT int getaddrinfo_a(int mode, gaicb* list[], int count, sigevent* event) {
  if (!before_thread()) return EAI_AGAIN;
  return TENDRIL_LIBC(getaddrinfo_a)(mode, list, count, event);
}

#define AIO_CALL(name, block_type)               \
  TENDRIL_LIBC_FUNCTION(name)                    \
  EXPORT int name(block_type* block) noexcept {  \
    if (!before_thread()) return refuse(EAGAIN); \
    return TENDRIL_LIBC(name)(block);            \
  }
AIO_CALL(aio_read, aiocb)
AIO_CALL(aio_write, aiocb)
AIO_CALL(aio_read64, aiocb64)
AIO_CALL(aio_write64, aiocb64)

TENDRIL_LIBC_FUNCTION(aio_fsync)
EXPORT int aio_fsync(int operation, aiocb* block) noexcept {
  if (!before_thread()) return refuse(EAGAIN);
  return TENDRIL_LIBC(aio_fsync)(operation, block);
}

TENDRIL_LIBC_FUNCTION(lio_listio)
EXPORT int lio_listio(int mode, aiocb* const list[], int count, sigevent* event) noexcept {
  if (!before_thread()) return refuse(EAGAIN);
  return TENDRIL_LIBC(lio_listio)(mode, list, count, event);
}
