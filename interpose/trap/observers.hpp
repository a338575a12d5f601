// What the patch front end wants to know of the trap's business. Null while nothing is patched.
#pragma once

#include <sys/ucontext.h>

#include "interpose/kernel/dispatch.hpp"

namespace tendril::trap {

struct Observers {
  // A signal struck program code and a handler is to run on top of it: makes the frame's position
  // one that unwinders know. False if it is in the middle of a move of instructions; delivery then
  // waits for the system call that comes next.
  bool (*settle)(ucontext_t* frame) noexcept = nullptr;

  // A trapped mmap, mprotect or munmap has been done.
  void (*memory_changed)(const kernel::Call& call, long result) noexcept = nullptr;
};

inline Observers observers;

inline bool settle(ucontext_t* frame) noexcept {
  return observers.settle == nullptr || observers.settle(frame);
}

}  // namespace tendril::trap
