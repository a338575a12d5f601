// What a futex word that a thread waits on belongs to, as far as memory tells.
//
// The C library keeps the owner of a mutex beside its lock word, and its objects have layouts of
// their own: those of glibc 2.34 and later on x86-64. What does not look like one of them is called
// a futex.
#pragma once

#include <cstdint>

namespace tendril::kernel {

struct WaitObject {
  enum class Kind : uint8_t { kMutex, kRwlock, kThread, kCondition, kSemaphore, kFutex };
  Kind kind = Kind::kFutex;
  uintptr_t address = 0;  // of the object
  int tid = 0;  // who holds it (perhaps no longer alive), or who is joined; 0: nobody that could
                // be named
};

// Precondition: the lock of threads().
WaitObject wait_object_at(uintptr_t futex_word) noexcept;

}  // namespace tendril::kernel
