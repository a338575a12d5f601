#pragma once

#include <ucontext.h>

#include <cstdint>

namespace tendril::trap {

// Before the first worker is made: where the kernel does not say that user space may write the FS
// base, and the CPU lets it nevertheless, switches write it from here on, see
// runtime/platform/forgotten_fs_base.hpp. `hub_fs_base`: of the hub's thread control block.
void look_for_hidden_fsgsbase(uintptr_t hub_fs_base) noexcept;

// In the handler of the fault by which a lost base was noticed, after it has been put back. A
// tracer that stops the thread in the return from that very handler would have it lost again, for
// ever: then the kernel is asked for every switch from here on. No thread-locals are used.
void note_lost_base(const ucontext_t* frame) noexcept;

}  // namespace tendril::trap
