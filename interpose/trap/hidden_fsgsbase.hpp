#pragma once

#include <cstdint>

namespace tendril::trap {

// Before the first worker is made: where the kernel does not say that user space may write the FS
// base, and the CPU lets it nevertheless, switches write it from here on, see
// runtime/platform/forgotten_fs_base.hpp. `hub_fs_base`: of the hub's thread control block.
void look_for_hidden_fsgsbase(uintptr_t hub_fs_base) noexcept;

}  // namespace tendril::trap
