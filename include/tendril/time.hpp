// Durations of the API.
#pragma once

#include <chrono>

namespace tendril {

// Every timeout is a duration from now, in nanoseconds inside; any std::chrono duration converts.
using Duration = std::chrono::nanoseconds;

// As a timeout: wait for ever. Zero: do not wait at all.
inline constexpr Duration kForever = Duration::max();

}  // namespace tendril
