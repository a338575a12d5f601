// What runtime/platform/forgotten_fs_base.hpp says of where FS bases are found, for assembly;
// checked in hidden_fsgsbase.cpp.
#pragma once

#define UNREACHABLE_FS_BASE 0x11000
#define RUNNING_FIBER_IN_WORKER 16
#define FS_BASE_IN_FIBER 8
