// What happens when everything waits and nothing can wake it: LoopExit.
#pragma once

namespace tendril::detail {

// Called whenever an OS thread becomes a worker of the API.
void watch_for_dead_ends() noexcept;

}  // namespace tendril::detail
