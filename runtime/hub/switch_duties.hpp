// What the switches of workers do besides, from the moment that somebody has need of it.
#pragma once

#include <atomic>
#include <cstdint>

namespace tendril::rt {

enum SwitchDuty : uint8_t {
  kChargeCpuTime = 1,  // see cpu_time.hpp
  // A fiber takes its rights to memory with protection keys along. Whoever does not know of its own
  // has the initial ones: who switches leaves these behind.
  kKeepKeyRights = 2,
};

inline std::atomic<uint8_t> switch_duties{0};

inline bool keeps_key_rights() noexcept {
  return (switch_duties.load(std::memory_order_relaxed) & kKeepKeyRights) != 0;
}

}  // namespace tendril::rt
