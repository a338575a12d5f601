// Whether a program that is about to be executed can be green at all.
#pragma once

namespace tendril::kernel {

// Null if it can be, or if that cannot be found out: the kernel will say what is wrong with it.
// Arguments as those of execveat. Raw system calls only.
const char* why_not_green(int directory, const char* path, int flags) noexcept;

}  // namespace tendril::kernel
