// Where in the program a thread is that was interrupted in a trampoline.
#pragma once

#include <sys/ucontext.h>

namespace tendril::patch {

// See trap/observers.hpp. Trampolines lie in anonymous memory, where no unwinder finds anything;
// registering them with one would take its lock, also within signal handlers. But at both ends a
// trampoline is the same as a place of the site: its begin is the window's, and after the window's
// instructions it is at the `syscall` (R11, which it has set, is that instruction's to destroy). So
// an interrupted thread is moved there, and goes on by the jump again or by the trap. In the middle
// of a window of several instructions there is no such place.
bool settle(ucontext_t* frame) noexcept;

// See trap/observers.hpp.
bool leave_passed_call(ucontext_t* frame) noexcept;
bool leave_interrupted_call(ucontext_t* frame, long* number) noexcept;

}  // namespace tendril::patch
