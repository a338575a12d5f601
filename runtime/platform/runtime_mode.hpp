// Runtime mode: while it lasts, this OS thread's system calls go straight to the kernel, no signal
// of the program is delivered and no fiber is preempted.
//
// Green processes know two modes, by the byte that Syscall User Dispatch looks at
// (Worker::selector, at gs:8): program code runs with 1, the runtime with 0. Code of the explicit
// API is called by program code, so everything in it that holds a lock or switches fibers does so
// in a section. Where no green threads run (own_worker) there is no such mode, and sections change
// nothing.
#pragma once

#include "runtime/platform/thread_registers.hpp"

namespace tendril::rt {

// Returns whether program mode was left; give that to leave_runtime_mode. The worker may be another
// one by then: the byte belongs to whichever runs us.
inline bool enter_runtime_mode_on_worker() noexcept {
  if (own_worker != nullptr) return false;
  uint8_t selector;
  asm volatile("movb %%gs:8, %0" : "=q"(selector)::"memory");
  if (__builtin_expect(selector == 0, true)) return false;
  // Moved to another worker meanwhile, we are in program mode there too.
  asm volatile("movb $0, %%gs:8" ::: "memory");
  return true;
}

inline bool enter_runtime_mode() noexcept { return on_worker && enter_runtime_mode_on_worker(); }

inline void leave_runtime_mode(bool was_program) noexcept {
  if (was_program) asm volatile("movb $1, %%gs:8" ::: "memory");
}

class RuntimeSection {
 public:
  RuntimeSection() noexcept : was_program_(enter_runtime_mode()) {}
  ~RuntimeSection() { leave_runtime_mode(was_program_); }
  RuntimeSection(const RuntimeSection&) = delete;
  RuntimeSection& operator=(const RuntimeSection&) = delete;

 private:
  const bool was_program_;
};

// The same where the OS thread is known to be a worker's.
class RuntimeSectionOnWorker {
 public:
  RuntimeSectionOnWorker() noexcept : was_program_(enter_runtime_mode_on_worker()) {}
  ~RuntimeSectionOnWorker() { leave_runtime_mode(was_program_); }
  RuntimeSectionOnWorker(const RuntimeSectionOnWorker&) = delete;
  RuntimeSectionOnWorker& operator=(const RuntimeSectionOnWorker&) = delete;

 private:
  const bool was_program_;
};

}  // namespace tendril::rt
