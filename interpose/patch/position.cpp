#include "interpose/patch/position.hpp"

#include "interpose/patch/trampolines.hpp"

namespace tendril::patch {

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

}  // namespace tendril::patch
