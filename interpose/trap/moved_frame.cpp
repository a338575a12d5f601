#include "interpose/trap/moved_frame.hpp"

#include <cstring>

#include "interpose/kernel/user_memory.hpp"
#include "interpose/trap/held_flags.hpp"

extern "C" void tendril_restore_rt();

namespace tendril::trap {
namespace {

size_t fp_state_size(const ucontext_t* frame) noexcept {
  // struct _fpx_sw_bytes at offset 464 of the FXSAVE area: magic1, extended_size.
  constexpr uint32_t kMagic = 0x46505853;
  const auto* fp = reinterpret_cast<const char*>(frame->uc_mcontext.fpregs);
  uint32_t words[2];
  std::memcpy(words, fp + 464, sizeof words);
  return words[0] == kMagic ? words[1] : 512;
}

}  // namespace

MovedFrame* move_frame(const ucontext_t* frame, const siginfo_t& info, uintptr_t sp,
                       uintptr_t lowest) noexcept {
  const size_t fp_size = fp_state_size(frame);
  const uintptr_t fp_at = (sp - fp_size) & ~uintptr_t{63};
  const uintptr_t moved_at = (fp_at - sizeof(MovedFrame)) & ~uintptr_t{15};
  const uintptr_t end = moved_at - 8;
  constexpr uintptr_t kNothing = 0;
  if (end < lowest || kernel::copy_out(reinterpret_cast<void*>(end), kNothing) != 0 ||
      kernel::copy_out_bytes(reinterpret_cast<void*>(fp_at), frame->uc_mcontext.fpregs, fp_size) !=
          0) {
    return nullptr;
  }
  MovedFrame copy{};
  copy.context = *frame;
  copy.info = info;
  copy.context.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(fp_at);
  // A return address as the kernel would have pushed it: unwinders then see a signal frame here.
  const auto return_address = reinterpret_cast<uintptr_t>(tendril_restore_rt);
  if (kernel::copy_out(reinterpret_cast<void*>(moved_at), copy) != 0 ||
      kernel::copy_out(reinterpret_cast<void*>(moved_at - 8), return_address) != 0) {
    return nullptr;
  }
  return reinterpret_cast<MovedFrame*>(moved_at);
}

void return_into(ucontext_t* frame, MovedFrame* moved, void (*entry)(MovedFrame*, long),
                 long argument) noexcept {
  greg_t* registers = frame->uc_mcontext.gregs;
  const auto at = reinterpret_cast<greg_t>(moved);
  registers[REG_RIP] = reinterpret_cast<greg_t>(entry);
  registers[REG_RDI] = at;
  registers[REG_RSI] = argument;
  registers[REG_RSP] = at - 8;  // as after a call: 8 modulo 16
  // As the kernel does for a handler: of 32-bit code, too.
  constexpr greg_t kUserSegments = 0x2b'0000'0000'0033;  // ss and cs, around gs and fs
  constexpr greg_t kSegmentsKept = 0x0000'ffff'ffff'0000;
  registers[REG_CSGSFS] = (registers[REG_CSGSFS] & kSegmentsKept) | kUserSegments;
  // Compiled code needs the direction flag clear.
  registers[REG_EFL] &= ~(kTrapFlag | kDirectionFlag | kResumeFlag | kAlignmentFlag);
}

}  // namespace tendril::trap
