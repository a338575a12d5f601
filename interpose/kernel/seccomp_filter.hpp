// Seccomp filters of the program: whether green threads can live with them.
//
// A filter sees every system call of the OS threads that it holds for, the runtime's own too. One
// that forbids those would end the process, or make it stand still, for no reason that its author
// could see.
#pragma once

#include <linux/filter.h>

#include <cstddef>

namespace tendril::kernel {

// The name of a system call that the runtime needs and the filter does not allow; null if it allows
// all of them.
const char* forbidden_by_filter(const sock_filter* program, size_t length) noexcept;

// When the process becomes green under a filter that was there before: tries the runtime's calls in
// a process made for it. As above. *is_filtered: there is one.
const char* forbidden_in_this_process(bool* is_filtered) noexcept;

}  // namespace tendril::kernel
