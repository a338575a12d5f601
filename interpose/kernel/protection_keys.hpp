// Protection keys of the program (pkeys(7)): a green thread's rights go with it from worker to
// worker, its handlers have the initial ones, and its threads begin with its own.
#pragma once

#include <ucontext.h>

#include <cstdint>

#include "runtime/hub/switch_duties.hpp"
#include "runtime/platform/protection_keys.hpp"

namespace tendril::kernel {

// When the process becomes green: it may have keys already.
void import_protection_keys() noexcept;

// Of the program where the signal struck it, which a signal frame's return gives back. In the
// handler the Linux kernel has taken them away.
uint32_t key_rights_of(const ucontext_t* frame) noexcept;

// A call that the trap has caught is to have the caller's rights to memory.
inline void take_key_rights_of(const ucontext_t* frame) noexcept {
  if (rt::keeps_key_rights()) [[unlikely]]
    rt::write_key_rights(key_rights_of(frame));
}

// While a handler of the program runs: the initial rights.
class HandlerKeyRights {
 public:
  HandlerKeyRights() noexcept : active_(rt::keeps_key_rights()) {
    if (!active_) return;
    interrupted_ = rt::read_key_rights();
    rt::write_key_rights(rt::kInitialKeyRights);
  }
  void restore() const noexcept {
    if (active_) rt::write_key_rights(interrupted_);
  }

 private:
  const bool active_;
  uint32_t interrupted_ = 0;
};

}  // namespace tendril::kernel
