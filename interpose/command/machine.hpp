// What this kernel, processor and libc can do.
#pragma once

#include <string>

namespace tendril::command {

// 0 if Syscall User Dispatch works in a process started here; EINVAL where the kernel has none,
// another errno where something forbids it. It is switched on and off again in this thread.
int dispatch_error();

// Why a program cannot run green on this kernel, as one line; empty if it can.
std::string dispatch_defect();

// "Linux 6.1.0-18-amd64".
std::string kernel_name();

// How the FS base, which every switch of green threads changes, can be written.
enum class FsBase {
  kByInstruction,  // by the program itself (FSGSBASE)
  kHidden,         // so too, but the kernel does not know of it and forgets it
  kBySystemCall,
};
FsBase fs_base();

// Whether madvise(MADV_GUARD_INSTALL) works, Linux 6.13; where not, guard pages split mappings.
bool has_guard_install();

// "2.36", of the libc that this process runs on.
std::string glibc_version();

// Threads moved into libc with glibc 2.34; the shim binds to them there.
bool glibc_is_new_enough(const std::string& version);

}  // namespace tendril::command
