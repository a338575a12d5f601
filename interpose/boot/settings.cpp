#include "interpose/boot/settings.hpp"

#include <cstdlib>
#include <cstring>

#include "runtime/platform/usable_cores.hpp"

namespace tendril::boot {
namespace {

bool is_set(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0' && !(value[0] == '0' && value[1] == '\0');
}

size_t number(const char* name, size_t otherwise) noexcept {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return otherwise;
  char* end;
  const unsigned long long parsed = std::strtoull(value, &end, 10);
  return *end == '\0' ? static_cast<size_t>(parsed) : otherwise;
}

Settings read() noexcept {
  Settings s;
  s.workers = static_cast<int>(number("TENDRIL_WORKERS", 0));
  if (const char* seed = std::getenv("TENDRIL_SEED"); seed != nullptr && *seed != '\0') {
    s.seeded = true;
    s.seed = number("TENDRIL_SEED", 0);
  }
  if (s.workers < 1) s.workers = s.seeded ? 1 : static_cast<int>(rt::usable_cores());
  s.stack_size = number("TENDRIL_STACK_SIZE", 0);
  const size_t slice = number("TENDRIL_SLICE_US", 10'000);
  if (slice >= 50 && slice <= 10'000'000) s.slice_microseconds = static_cast<int>(slice);
  s.patch = std::getenv("TENDRIL_PATCH") == nullptr || is_set("TENDRIL_PATCH");
  const char* on_deadlock = std::getenv("TENDRIL_ON_DEADLOCK");
  s.exit_on_deadlock = on_deadlock != nullptr && std::strcmp(on_deadlock, "exit") == 0;
  s.statistics = is_set("TENDRIL_STATS");
  s.verbose = is_set("TENDRIL_VERBOSE");
  return s;
}

}  // namespace

const Settings& settings() noexcept {
  static const Settings instance = read();
  return instance;
}

}  // namespace tendril::boot
