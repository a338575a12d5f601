// Native calls on an OS thread that is made for them and ends after them.
//
// A worker carries many green threads, so what one of them asks for itself alone must not be set
// on the worker. But whether the Linux kernel would allow it, and what it would make of it, only
// the Linux kernel knows: it is asked here, where the answer has no effect.
#pragma once

#include <cstddef>

namespace tendril::kernel {

struct AsideCall {
  long number;
  long arguments[6];
  long result = 0;
};

// Makes the calls, one after the other, whatever they return. The thread has the credentials and
// the scheduling of the calling worker. False if there can be no such thread.
bool call_aside(AsideCall* calls, size_t count) noexcept;

void aside_reset_after_fork() noexcept;

}  // namespace tendril::kernel
