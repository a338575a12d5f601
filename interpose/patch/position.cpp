#include "interpose/patch/position.hpp"

#include <cerrno>

#include "interpose/patch/trampolines.hpp"

extern "C" {
extern const char tendril_patched_pass_done[] __attribute__((visibility("hidden")));
extern const char tendril_patched_native_done[] __attribute__((visibility("hidden")));
}

namespace tendril::patch {
namespace {

struct Kept {  // as entry.S leaves it on the stack
  long number;
  const greg_t* record;
  char red_zone[128];
  char program_stack[1];
};

// Null if it is not just behind the system call of one that passes.
Kept* passed_call(const ucontext_t* frame) noexcept {
  const greg_t* registers = frame->uc_mcontext.gregs;
  const auto at = reinterpret_cast<const char*>(registers[REG_RIP]);
  if (at != tendril_patched_pass_done && at != tendril_patched_native_done) return nullptr;
  return reinterpret_cast<Kept*>(registers[REG_RSP]);
}

}  // namespace

bool settle(ucontext_t* frame) noexcept {
  greg_t& rip = frame->uc_mcontext.gregs[REG_RIP];
  const auto at = static_cast<uintptr_t>(rip);
  const Trampoline* trampoline = trampoline_at(at);
  if (trampoline == nullptr) return true;
  const size_t done = at - reinterpret_cast<uintptr_t>(trampoline->code);
  if (done > 0 && done < trampoline->window_size) return false;
  rip = reinterpret_cast<greg_t>(done == 0 ? trampoline->window : trampoline->syscall);
  return true;
}

bool leave_passed_call(ucontext_t* frame) noexcept {
  Kept* kept = passed_call(frame);
  if (kept == nullptr) return false;
  greg_t* registers = frame->uc_mcontext.gregs;
  registers[REG_R11] = reinterpret_cast<greg_t>(kept->record);
  registers[REG_RIP] = kept->record[0];
  registers[REG_RSP] = reinterpret_cast<greg_t>(kept->program_stack);
  return true;
}

bool leave_interrupted_call(ucontext_t* frame, long* number) noexcept {
  greg_t* registers = frame->uc_mcontext.gregs;
  Kept* kept = passed_call(frame);
  if (kept == nullptr || registers[REG_RAX] != -EINTR) return false;
  *number = kept->number;
  registers[REG_RIP] = kept->record[1];
  registers[REG_RSP] = reinterpret_cast<greg_t>(kept->program_stack);
  return true;
}

}  // namespace tendril::patch
