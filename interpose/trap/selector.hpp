// The border between program code and runtime code, as Syscall User Dispatch sees it: one byte of
// the worker, stored by one instruction through the GS base, so that a thread that is moved between
// two instructions can never write another worker's.
//
// Between leave_runtime and the return to the program (and between the entry and enter_runtime)
// nothing is held and no worker is remembered: a signal may be delivered and a switch may happen
// there as anywhere in program code.
#pragma once

#include "runtime/hub/worker.hpp"

namespace tendril::trap {

inline void enter_runtime() noexcept { asm volatile("movb $0, %%gs:8" ::: "memory"); }
inline void leave_runtime() noexcept { asm volatile("movb $1, %%gs:8" ::: "memory"); }

inline bool in_runtime() noexcept {
  uint8_t selector;
  asm volatile("movb %%gs:8, %0" : "=q"(selector));
  return selector == static_cast<uint8_t>(rt::Selector::kAllow);
}

}  // namespace tendril::trap
