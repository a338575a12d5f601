// A suspended flow of control: what a fiber is to the CPU.
//
// Besides the stack pointer, callee-saved registers, SIMD and x87 control words, in the frame of
// Boost.Context's fcontext, it carries what belongs to a flow besides registers:
//   - the FS base, so that a green thread sees its own thread-locals wherever it runs;
//   - for flows that share one FS base (explicit fibers of one OS thread): errno and the C++
//     runtime's exception state, which are thread-locals and would otherwise be mixed up.
#pragma once

#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "runtime/platform/thread_registers.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace tendril::rt {

// The head of __cxa_eh_globals (Itanium C++ ABI 2.2.2): Boost 1.74 does not switch it.
struct alignas(8) ExceptionState {
  void* caught_exceptions = nullptr;
  unsigned int uncaught_exceptions = 0;

  bool any() const noexcept {
    return (reinterpret_cast<uintptr_t>(caught_exceptions) | uncaught_exceptions) != 0;
  }
};

struct Context {
  boost::context::detail::fcontext_t handle = nullptr;  // valid while suspended
  uintptr_t fs_base = 0;
  // Non-null where the FS base is shared: the places to save from and restore to.
  int* errno_location = nullptr;
  ExceptionState* exception_location = nullptr;
  int saved_errno = 0;
  bool has_exceptions = false;  // in saved_exceptions, while suspended; its place is clear
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

// Where the calling thread's exception state is. Only the layer that throws needs the C++ runtime:
// every process would have to load it otherwise. To be set before fibers that share an FS base.
using ExceptionStateOfThread = ExceptionState* (*)();
void set_exception_state(ExceptionStateOfThread of_thread) noexcept;

// The context's flow of control is this OS thread's, now. `shared` as explained above.
void adopt_current_thread(Context& context, bool shared) noexcept;

// Prepares a context that begins in entry on the given stack when first switched to. `entry` must
// call arrive(transfer) first and must never return. stack_top need not be aligned.
using ContextEntry = void (*)(boost::context::detail::transfer_t);
void make_context(Context& context, void* stack_top, size_t stack_size,
                  ContextEntry entry) noexcept;

// The context waits in a switch to go on with somebody else's work: what the other side of a switch
// restores is as make_context leaves it.
inline void renew_context(Context& context) noexcept {
  asm volatile("stmxcsr (%0)\n\tfnstcw 4(%0)" ::"r"(context.handle) : "memory");
  context.saved_errno = 0;
}

// Ends the sanitizers' bookkeeping of a context that will never run again.
void retire_context(Context& context) noexcept;

// First thing in an entry: completes the switch; returns the context that was left.
Context* arrive(boost::context::detail::transfer_t transfer, Context& self) noexcept;

// What a switch saves lies on the stack that is left, laid out as by Boost's make_fcontext, which
// prepares the first switch to a context:
//
//   handle ─►  0  SIMD control word (MXCSR)    4  x87 control word
//              8  nothing (Boost's: r12 to r15)
//             40  rbx   48  rbp
//             56  where to go on
//
// Other than Boost's jump_fcontext this is entered by a jump instead of a call, and resumes the
// other side by a jump: a call would leave one entry more on the CPU's stack of return predictions
// with every switch, and every return of the resumed side would be mispredicted (20 ns and more a
// switch). Control words are loaded only where they differ, which costs a nanosecond less. And r12
// to r15 are left to the compiler, which saves those that it uses in any case.
//
// Stores the handle of `from`. Returns the context that was left for this one to go on; an entry
// finds it as the data of its argument, whose other half means nothing.
inline Context* jump_balanced(boost::context::detail::fcontext_t to, Context* from) noexcept {
  static_assert(offsetof(Context, handle) == 0);
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
      "leaq 1f(%%rip), %%rcx\n\t"
      "pushq %%rcx\n\t"
      "leaq -56(%%rsp), %%rsp\n\t"
      "stmxcsr (%%rsp)\n\t"
      "fnstcw 4(%%rsp)\n\t"
      "movq %%rbx, 40(%%rsp)\n\t"
      "movq %%rbp, 48(%%rsp)\n\t"
      "movq %%rsp, (%%rsi)\n\t"  // the handle
      "movl (%%rdi), %%ecx\n\t"
      "cmpl (%%rsp), %%ecx\n\t"
      "jne 4f\n"
      "2:\n\t"
      "movzwl 4(%%rdi), %%ecx\n\t"
      "cmpw 4(%%rsp), %%cx\n\t"
      "jne 5f\n"
      "3:\n\t"
      "movq 40(%%rdi), %%rbx\n\t"
      "movq 48(%%rdi), %%rbp\n\t"
      "leaq 64(%%rdi), %%rsp\n\t"
      "jmp *56(%%rdi)\n"
      "4:\n\t"
      "ldmxcsr (%%rdi)\n\t"
      "jmp 2b\n"
      "5:\n\t"
      "fldcw 4(%%rdi)\n\t"
      "jmp 3b\n"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "+D"(to), "+S"(from)
      :
      : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return from;
}

// Suspends `from` (which must be the current flow) and resumes `to`. Returns when somebody switches
// back to `from`: the context that was left for that. A handle is complete only once its stack has
// been left: only the code after the switch may publish it. A `dying` from never comes back.
// Always inline, as jump_balanced explains: no call may lie between the switch and who wants it.
// kShared: both are known to share one FS base.
template <bool kShared = false>
inline __attribute__((always_inline)) Context* switch_context(Context& from, Context& to,
                                                              bool dying = false) noexcept {
  if (kShared || from.errno_location != nullptr) {
    from.saved_errno = *from.errno_location;
    // Nearly nobody switches while it handles an exception: so nobody's state is the rule.
    ExceptionState& state = *from.exception_location;
    if (__builtin_expect(state.any(), false)) {
      from.saved_exceptions = std::exchange(state, {});
      from.has_exceptions = true;
    }
  }
  if (!kShared && to.fs_base != from.fs_base) set_fs_base(to.fs_base);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack, to.stack_bottom,
                                 to.stack_size);
#else
  (void)dying;
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
  Context* left = jump_balanced(to.handle, &from);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
  if (kShared || from.errno_location != nullptr) {
    *from.errno_location = from.saved_errno;
    if (__builtin_expect(from.has_exceptions, false)) {
      *from.exception_location = from.saved_exceptions;
      from.has_exceptions = false;
    }
  }
  return left;
}

}  // namespace tendril::rt
