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
#define LIBC(name) \
  static const auto libc = reinterpret_cast<decltype(&name)>(tendril::symbols::libc_function(#name))

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

EXPORT int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  LIBC(thrd_create);
  if (!before_thread()) return thrd_nomem;
  const ThreadInTheMaking making;
  return libc(thread, function, argument);
}

// Only a clone that makes a thread matters here; glibc passes the optional arguments on unseen, and
// so do we: they are pointers or absent.
EXPORT int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) {
  LIBC(clone);
  va_list rest;
  va_start(rest, argument);
  auto* parent_tid = va_arg(rest, pid_t*);
  void* tls = va_arg(rest, void*);
  auto* child_tid = va_arg(rest, pid_t*);
  va_end(rest);
  if ((flags & CLONE_THREAD) != 0 && !before_thread()) return refuse(EAGAIN);
  return libc(function, stack, flags, argument, parent_tid, tls, child_tid);
}

EXPORT int timer_create(clockid_t clock, sigevent* event, timer_t* timer) noexcept {
  LIBC(timer_create);
  if (notifies_by_thread(event) && !before_thread()) return refuse(EAGAIN);
  return libc(clock, event, timer);
}

EXPORT int mq_notify(mqd_t queue, const sigevent* event) noexcept {
  LIBC(mq_notify);
  if (notifies_by_thread(event) && !before_thread()) return refuse(ENOMEM);
  return libc(queue, event);
}

EXPORT int getaddrinfo_a(int mode, gaicb* list[], int count, sigevent* event) {
  LIBC(getaddrinfo_a);
  if (!before_thread()) return EAI_AGAIN;
  return libc(mode, list, count, event);
}

#define AIO_CALL(name, block_type)               \
  EXPORT int name(block_type* block) noexcept {  \
    LIBC(name);                                  \
    if (!before_thread()) return refuse(EAGAIN); \
    return libc(block);                          \
  }
AIO_CALL(aio_read, aiocb)
AIO_CALL(aio_write, aiocb)
AIO_CALL(aio_read64, aiocb64)
AIO_CALL(aio_write64, aiocb64)

EXPORT int aio_fsync(int operation, aiocb* block) noexcept {
  LIBC(aio_fsync);
  if (!before_thread()) return refuse(EAGAIN);
  return libc(operation, block);
}

EXPORT int lio_listio(int mode, aiocb* const list[], int count, sigevent* event) noexcept {
  LIBC(lio_listio);
  if (!before_thread()) return refuse(EAGAIN);
  return libc(mode, list, count, event);
}
