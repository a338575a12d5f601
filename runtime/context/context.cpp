#include "runtime/context/context.hpp"

#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace tendril::rt {

namespace {

constinit std::atomic<ExceptionStateOfThread> exception_state_of_thread{nullptr};

// Of a process in which nobody throws through fibers that share an FS base: never any.
constinit ExceptionState no_exceptions;

}  // namespace

void set_exception_state(ExceptionStateOfThread of_thread) noexcept {
  exception_state_of_thread.store(of_thread, std::memory_order_relaxed);
}

void adopt_current_thread(Context& context, bool shared) noexcept {
  context.fs_base = get_fs_base();
  context.has_exceptions = false;
  if (shared) {
    context.errno_location = &errno;
    const auto of_thread = exception_state_of_thread.load(std::memory_order_relaxed);
    context.exception_location = of_thread != nullptr ? of_thread() : &no_exceptions;
  }
#if defined(__SANITIZE_ADDRESS__)
  pthread_attr_t attributes;
  void* bottom = nullptr;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
  }
  context.stack_bottom = bottom;
  context.stack_size = size;
#endif
#if defined(__SANITIZE_THREAD__)
  context.tsan_fiber = __tsan_get_current_fiber();
#endif
}

void make_context(Context& context, void* stack_top, size_t stack_size,
                  ContextEntry entry) noexcept {
  context.handle = boost::context::detail::make_fcontext(stack_top, stack_size, entry);
  context.saved_errno = 0;
  context.has_exceptions = false;
#if defined(__SANITIZE_ADDRESS__)
  context.fake_stack = nullptr;
  // The frames of a former user that ended without returning left their marks.
  __asan_unpoison_memory_region(static_cast<char*>(stack_top) - stack_size, stack_size);
  context.stack_bottom = static_cast<char*>(stack_top) - stack_size;
  context.stack_size = stack_size;
#endif
#if defined(__SANITIZE_THREAD__)
  context.tsan_fiber = __tsan_create_fiber(0);
#endif
}

void retire_context(Context& context) noexcept {
  context.handle = nullptr;
#if defined(__SANITIZE_THREAD__)
  if (context.tsan_fiber != nullptr) __tsan_destroy_fiber(context.tsan_fiber);
  context.tsan_fiber = nullptr;
#endif
}

Context* arrive(boost::context::detail::transfer_t transfer, Context& self) noexcept {
  auto* left = static_cast<Context*>(transfer.data);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  if (self.errno_location != nullptr) {
    *self.errno_location = 0;
  }
  return left;
}

}  // namespace tendril::rt
