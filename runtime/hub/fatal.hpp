// The end of a process whose runtime cannot go on: says what happened and aborts.
#pragma once

namespace tendril::rt {

// One line on stderr, "tendril: fatal: MESSAGE (fiber ID NAME)", then SIGABRT.
[[noreturn]] void fatal(const char* message) noexcept;

// Release-mode assertion for cheap checks.
inline void require(bool condition, const char* message) noexcept {
  if (__builtin_expect(!condition, false)) fatal(message);
}

}  // namespace tendril::rt
