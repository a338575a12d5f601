// libc's own functions, behind our hooks of the same names.
#pragma once

#include <pthread.h>

#include <atomic>

namespace tendril::symbols {

// The next definition of a name after ours. It is looked up when the shim is loaded, for in the
// midst of a hook the look-up would hold the loader's lock where the program may leave at any
// instruction: a thread that is cancelled asynchronously, a signal handler that jumps out. A hook
// that is called before, by another library's initialisation, looks itself.
class LibcFunction {
 public:
  constexpr explicit LibcFunction(const char* name) noexcept : name_(name) {}
  void look_up() noexcept;
  // Never null: a missing one ends the process, the C library is not one that we know.
  void* get() noexcept {
    void* function = function_.load(std::memory_order_relaxed);
    return __builtin_expect(function != nullptr, true) ? function : get_late();
  }

 private:
  void* get_late() noexcept;

  const char* name_;
  std::atomic<void*> function_{nullptr};
};

// At namespace scope; then TENDRIL_LIBC(name) is the function, in hooks of the same file.
#define TENDRIL_LIBC_FUNCTION(name)                                      \
  static constinit tendril::symbols::LibcFunction in_libc_##name(#name); \
  static __attribute__((constructor)) void look_up_##name() noexcept { in_libc_##name.look_up(); }
#define TENDRIL_LIBC(name) reinterpret_cast<decltype(&name)>(in_libc_##name.get())

int libc_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*function)(void*), void* argument) noexcept;

}  // namespace tendril::symbols
