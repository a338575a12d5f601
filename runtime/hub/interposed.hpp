// Whether the interposition shim is loaded. There the fibers of the explicit API are green threads
// with a C library that blocks cooperatively, libuv's thread pool, signals and children are not to
// be used (they would take the program's), and a blocking call is simply made in a fiber.
#pragma once

#include "runtime/hub/process.hpp"

namespace tendril::rt {

inline bool is_interposed() noexcept { return process().hooks.create_identified_fiber != nullptr; }

}  // namespace tendril::rt
