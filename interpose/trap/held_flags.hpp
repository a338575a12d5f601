// Flags of the CPU that a program may set and under which the runtime does not run: TF raises
// SIGTRAP after every instruction, AC raises SIGBUS at every access that is not aligned.
//
// A signal frame keeps them, and so does the entry of patched sites. A symbol hook comes without
// either: it looks for AC, which might otherwise go unnoticed until another thread runs; TF is
// taken away by the first signal that it raises in runtime code. The thread holds them until its
// way out, which is then by a trap.
#pragma once

#include <signal.h>
#include <sys/ucontext.h>

#include <utility>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/trap/selector.hpp"

namespace tendril::trap {

inline constexpr greg_t kTrapFlag = 1 << 8;
inline constexpr greg_t kDirectionFlag = 1 << 10;
inline constexpr greg_t kResumeFlag = 1 << 16;
inline constexpr greg_t kAlignmentFlag = 1 << 18;

// First in every handler: Linux clears the others for it.
inline void end_alignment_checks(const ucontext_t* frame) noexcept {
  if (__builtin_expect((frame->uc_mcontext.gregs[REG_EFL] & kAlignmentFlag) == 0, true)) return;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
      "pushfq\n\t"
      "andl %0, (%%rsp)\n\t"
      "popfq\n\t"
      "leaq 128(%%rsp), %%rsp"
      :
      : "i"(~kAlignmentFlag)
      : "cc", "memory");
}

inline bool is_single_step(int signal, const siginfo_t& info) noexcept {
  return signal == SIGTRAP && info.si_code == TRAP_TRACE;
}

// True if this signal has come of such a flag in runtime code, which goes on without it.
inline bool hold_flag(int signal, const siginfo_t& info, ucontext_t* frame) noexcept {
  greg_t raised_by = 0;
  if (is_single_step(signal, info)) raised_by = kTrapFlag;
  if (signal == SIGBUS && info.si_code == BUS_ADRALN) raised_by = kAlignmentFlag;
  greg_t& flags = frame->uc_mcontext.gregs[REG_EFL];
  if ((flags & raised_by) == 0 || rt::current_worker() == nullptr || !in_runtime()) return false;
  kernel::GreenThread* thread = kernel::current_thread();
  if (thread == nullptr) return false;
  flags &= ~raised_by;
  thread->held_flags |= static_cast<uint32_t>(raised_by);
  return true;
}

// In a hook, in runtime mode. To read the flags is cheap, to write them is not.
inline void hold_alignment_checks(kernel::GreenThread* thread) noexcept {
  const auto flags = static_cast<greg_t>(__builtin_ia32_readeflags_u64());
  if (__builtin_expect((flags & kAlignmentFlag) == 0, true)) return;
  __builtin_ia32_writeeflags_u64(static_cast<unsigned long long>(flags & ~kAlignmentFlag));
  thread->held_flags |= static_cast<uint32_t>(kAlignmentFlag);
}

// To the frame by which the thread returns to the program.
inline void give_back_flags(kernel::GreenThread* thread, ucontext_t* frame) noexcept {
  if (__builtin_expect(thread->held_flags == 0, true)) return;
  frame->uc_mcontext.gregs[REG_EFL] |= std::exchange(thread->held_flags, 0);
}

}  // namespace tendril::trap
