// A suspended flow of control: what a fiber is to the CPU.
//
// Over Boost.Context's fcontext (stack pointer, callee-saved registers, SIMD and x87 control words)
// it carries what belongs to a flow besides registers:
//   - the FS base, so that a green thread sees its own thread-locals wherever it runs;
//   - for flows that share one FS base (explicit fibers of one OS thread): errno and the C++
//     runtime's exception state, which are thread-locals and would otherwise be mixed up.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "runtime/platform/thread_registers.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace tendril::rt {

// The head of __cxa_eh_globals (Itanium C++ ABI 2.2.2): Boost 1.74 does not switch it.
struct ExceptionState {
  void* caught_exceptions = nullptr;
  unsigned int uncaught_exceptions = 0;
};

struct Context {
  boost::context::detail::fcontext_t handle = nullptr;  // valid while suspended
  uintptr_t fs_base = 0;
  // Non-null where the FS base is shared: the places to save from and restore to.
  int* errno_location = nullptr;
  ExceptionState* exception_location = nullptr;
  int saved_errno = 0;
  ExceptionState saved_exceptions;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  const void* stack_bottom = nullptr;
  size_t stack_size = 0;
#endif
#if defined(__SANITIZE_THREAD__)
  void* tsan_fiber = nullptr;
#endif
};

// The context's flow of control is this OS thread's, now. `shared` as explained above.
void adopt_current_thread(Context& context, bool shared) noexcept;

// Prepares a context that begins in entry on the given stack when first switched to. `entry` must
// call arrive(transfer) first and must never return. stack_top need not be aligned.
using ContextEntry = void (*)(boost::context::detail::transfer_t);
void make_context(Context& context, void* stack_top, size_t stack_size,
                  ContextEntry entry) noexcept;

// Ends the sanitizers' bookkeeping of a context that will never run again.
void retire_context(Context& context) noexcept;

// First thing in an entry: completes the switch; returns the context that was left.
Context* arrive(boost::context::detail::transfer_t transfer, Context& self) noexcept;

// jump_fcontext, entered by a jump instead of a call. It resumes the other side by a jump, too, not
// by a return: a call would leave one entry more on the CPU's stack of return predictions with
// every switch, and every return of the resumed side would be mispredicted (20 ns and more a
// switch).
//
// Saved and restored by jump_fcontext: rbx, rbp, r12 to r15, and the SIMD and x87 control words.
inline boost::context::detail::transfer_t jump_balanced(boost::context::detail::fcontext_t to,
                                                        void* data) noexcept {
  boost::context::detail::transfer_t transfer;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
      "leaq 1f(%%rip), %%rcx\n\t"
      "pushq %%rcx\n\t"
      "jmp *jump_fcontext@GOTPCREL(%%rip)\n"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "=a"(transfer.fctx), "=d"(transfer.data), "+D"(to), "+S"(data)
      :
      : "rcx", "r8", "r9", "r10", "r11", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
        "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
        "xmm15");
  return transfer;
}

// Suspends `from` (which must be the current flow) and resumes `to`. Returns when somebody switches
// back to `from`: the context that was left for that, whose handle is complete from then on and
// not before; only the code after the switch may publish it. A `dying` from never comes back.
inline Context* switch_context(Context& from, Context& to, bool dying = false) noexcept {
  if (from.errno_location != nullptr) {
    from.saved_errno = *from.errno_location;
    from.saved_exceptions = *from.exception_location;
  }
  if (to.fs_base != from.fs_base) set_fs_base(to.fs_base);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack, to.stack_bottom,
                                 to.stack_size);
#else
  (void)dying;
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
  const auto transfer = jump_balanced(to.handle, &from);
  auto* left = static_cast<Context*>(transfer.data);
  left->handle = transfer.fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
  if (from.errno_location != nullptr) {
    *from.errno_location = from.saved_errno;
    *from.exception_location = from.saved_exceptions;
  }
  return left;
}

}  // namespace tendril::rt
