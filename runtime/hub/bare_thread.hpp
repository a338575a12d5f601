// An OS thread outside the C library: made by a raw clone, on memory of ours, with a thread-local
// block in which nothing was ever written. The program's libc does not know of it, so it can be
// made at any time and by any code of the runtime, and takes part in none of libc's rounds over its
// threads. It may run runtime code and fibers that bring an FS base of their own; no libc code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::rt {

struct BareThread {
  int tid = 0;  // cleared by the kernel when the thread has ended
  void* stack_top = nullptr;
  void* tls = nullptr;

  // True once the thread has left its memory, or if it never began.
  bool has_ended() const noexcept;
};

// Maps stack and thread-local block. The lowest address is returned, for a record of the caller's;
// null when out of memory.
void* prepare_bare_thread(size_t stack_size, BareThread* thread) noexcept;

// Starts the thread with GS base 0 and the given kernel signal mask; `function` must end with
// end_bare_thread. Returns the tid or -errno. The thread must be prepared, and have ended if it
// ran before.
long start_bare_thread(BareThread* thread, void (*function)(void*), void* argument,
                       uint64_t blocked_signals) noexcept;

// As start_bare_thread, but what starts is a process of its own on this one's memory, with copies
// of its descriptors and dispositions and every signal blocked. It tells nobody of its end.
long start_bare_process(BareThread* thread, void (*function)(void*), void* argument) noexcept;

[[noreturn]] void end_bare_thread() noexcept;

}  // namespace tendril::rt
