// The patch front end: rewrites `syscall` sites to jump to trampolines, so that a system call comes
// to the dispatcher without a signal: those of every object that is loaded when the process becomes
// green, the vDSO included, and of those that are opened later. Left alone are the runtime itself,
// and the loader, whose calls tell by the trap what it opens and closes (late_objects.hpp).
//
// Nobody may be running in the code that is rewritten, because a jump is several bytes and a window
// may be several instructions. So there are two moments for it: while the process has one thread,
// and, for an object opened later, when the loader has relocated it and nobody else knows of it
// yet. Threads are never stopped for it.
#pragma once

#include <cstddef>

#include "interpose/patch/code_object.hpp"

namespace tendril::patch {

struct Outcome {
  size_t objects = 0;             // objects with patched sites
  size_t sites = 0;               // `syscall` instructions found
  size_t patched = 0;             // the others stay with the trap: slower, never wrong
  const char* why_not = nullptr;  // for an object that could not be patched at all
};

// Program code, one thread: loads the decoder and looks which objects there are.
void find_objects() noexcept;
// One thread, all signals blocked. May come again in a child of fork.
Outcome apply() noexcept;

// Rewrites one object. Runtime code, one at a time.
void patch_object(const CodeObject& object, Outcome* outcome) noexcept;

}  // namespace tendril::patch
