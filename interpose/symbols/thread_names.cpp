// pthread_setname_np, pthread_getname_np: for another thread glibc goes through
// /proc/self/task/TID/comm, which a green tid has not.
#include <pthread.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/symbols/hook.hpp"
#include "interpose/symbols/libc.hpp"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// glibc's pthread_t is the address of the thread's control block, its FS base. Calls `use` with the
// thread, under the table's lock; ESRCH if there is none.
template <typename Use>
int with_thread(pthread_t handle, Use&& use) noexcept {
  int result = ESRCH;
  tendril::kernel::threads().for_each([&](tendril::kernel::GreenThread* thread) {
    if (thread->fiber->fs_base == handle) {
      use(thread);
      result = 0;
    }
  });
  return result;
}

constexpr size_t kNameSize = sizeof tendril::kernel::GreenThread::name;

}  // namespace

TENDRIL_LIBC_FUNCTION(pthread_setname_np)
EXPORT int pthread_setname_np(pthread_t handle, const char* name) noexcept {
  if (!tendril::symbols::is_program_code() || handle == pthread_self())
    return TENDRIL_LIBC(pthread_setname_np)(handle, name);
  const size_t length = std::strlen(name);
  if (length >= kNameSize) return ERANGE;
  return with_thread(handle, [&](tendril::kernel::GreenThread* thread) {
    std::memcpy(thread->name, name, length + 1);
    std::memcpy(thread->fiber->name, name, length + 1);
  });
}

TENDRIL_LIBC_FUNCTION(pthread_getname_np)
EXPORT int pthread_getname_np(pthread_t handle, char* buffer, size_t size) {
  if (!tendril::symbols::is_program_code() || handle == pthread_self()) {
    return TENDRIL_LIBC(pthread_getname_np)(handle, buffer, size);
  }
  if (size < kNameSize) return ERANGE;
  return with_thread(handle, [&](tendril::kernel::GreenThread* thread) {
    std::memcpy(buffer, thread->name, kNameSize);
  });
}
