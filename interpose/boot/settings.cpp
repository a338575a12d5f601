#include "interpose/boot/settings.hpp"

#include <cstdlib>
#include <cstring>

#include "interpose/kernel/child_environment.hpp"
#include "runtime/platform/usable_cores.hpp"

namespace tendril::boot {
namespace {

bool is_set(const char* name) noexcept {
  const char* value = kernel::tendril_variable(name);
  return value != nullptr && value[0] != '\0' && !(value[0] == '0' && value[1] == '\0');
}

size_t number(const char* name, size_t otherwise) noexcept {
  const char* value = kernel::tendril_variable(name);
  if (value == nullptr || *value == '\0') return otherwise;
  char* end;
  const unsigned long long parsed = std::strtoull(value, &end, 10);
  return *end == '\0' ? static_cast<size_t>(parsed) : otherwise;
}

Settings read() noexcept {
  Settings s;
  s.workers = static_cast<int>(number("WORKERS", 0));
  if (const char* seed = kernel::tendril_variable("SEED"); seed != nullptr && *seed != '\0') {
    s.seeded = true;
    s.seed = number("SEED", 0);
  }
  if (s.workers < 1) s.workers = s.seeded ? 1 : static_cast<int>(rt::usable_cores());
  s.stack_size = number("STACK_SIZE", 0);
  const size_t slice = number("SLICE_US", 10'000);
  if (slice >= 50 && slice <= 10'000'000) s.slice_microseconds = static_cast<int>(slice);
  s.patch = kernel::tendril_variable("PATCH") == nullptr || is_set("PATCH");
  if (kernel::tendril_variable("IO_URING") != nullptr) {
    s.io_uring = is_set("IO_URING") ? IoUring::kAlways : IoUring::kNever;
  }
  const char* on_deadlock = kernel::tendril_variable("ON_DEADLOCK");
  s.exit_on_deadlock = on_deadlock != nullptr && std::strcmp(on_deadlock, "exit") == 0;
  s.statistics = is_set("STATS");
  s.verbose = is_set("VERBOSE");
  return s;
}

}  // namespace

const Settings& settings() noexcept {
  static const Settings instance = read();
  return instance;
}

}  // namespace tendril::boot
