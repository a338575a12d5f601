// The kernel's own codes for "interrupted": what becomes of them depends on the handler that runs
// (signal(7), "Interruption of system calls").
#pragma once

namespace tendril::kernel {

inline constexpr long kRestartSys = 512;        // restart if the handler has SA_RESTART, else EINTR
inline constexpr long kRestartAlways = 513;     // restart, whatever the handler says
inline constexpr long kRestartNoHandler = 514;  // EINTR if any handler ran, else restart
// Beyond the kernel's: a symbol hook's try would have to wait.
inline constexpr long kWouldWait = 600;

constexpr bool is_restart_code(long result) noexcept {
  return result == -kRestartSys || result == -kRestartAlways || result == -kRestartNoHandler;
}

}  // namespace tendril::kernel
