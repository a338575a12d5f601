// The patch front end: rewrites the `syscall` sites of libc to jump to trampolines, so that a
// system call of libc's own (futex in NPTL, read in stdio) comes to the dispatcher without a
// signal.
#pragma once

#include <cstddef>

namespace tendril::patch {

struct Outcome {
  size_t sites = 0;               // `syscall` instructions found
  size_t patched = 0;             // the others stay with the trap: slower, never wrong
  const char* why_not = nullptr;  // nothing could be patched at all
};

// Two steps, since the first needs libc (and loads the decoder) and the second must not touch it:
// its pages are not executable while they are written.
//
// find_sites: program code, one thread.
void find_sites() noexcept;
// apply: one thread, all signals blocked. Text is never writable and executable at once.
Outcome apply() noexcept;

}  // namespace tendril::patch
