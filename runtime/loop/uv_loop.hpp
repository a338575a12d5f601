// libuv's loop, embedded in the hub of an OS thread.
#pragma once

struct uv_loop_s;

namespace tendril::rt {

// That of the calling OS thread, made at first use. Null when out of descriptors or memory.
uv_loop_s* uv_loop_here() noexcept;

}  // namespace tendril::rt
