// The environment as a value, and what the shim and its loader find in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tendril::command {

// "NAME=value" strings, as in environ.
using Environment = std::vector<std::string>;

// What the user chose for the green process.
struct Settings {
  std::optional<unsigned> workers;    // none: the usable cores
  std::optional<size_t> stack_bytes;  // empty: what the program itself asks for
  std::optional<uint64_t> seed;       // of a schedule that can be repeated
  bool exit_on_deadlock = false;
  bool stats = false;
  bool verbose = false;
};

// Copies a null-terminated array such as environ.
Environment copy_environment(const char* const* variables);

// The value of the first variable of that name; empty when there is none.
std::optional<std::string_view> lookup(const Environment& environment, std::string_view name);

// Leaves exactly one variable of that name, at its place, or none when `value` is empty.
void assign(Environment& environment, std::string_view name,
            const std::optional<std::string>& value);

// The library beside the shim that makes lock operations switch points, for runs under a seed.
inline constexpr std::string_view kSwitchpointsName = "libtendril-switchpoints.so";
std::string switchpoints_beside(const std::string& shim);

// `environment` as a green program needs it: the shim first in LD_PRELOAD before what was there
// (with the library of switch points after it under a seed, and without it otherwise),
// glibc's rseq registration off in GLIBC_TUNABLES (a green thread cannot have one: its kernel
// thread is shared), and the settings as TENDRIL_* in the one form that the shim reads. One more is
// added if the shim would otherwise hide an odd number of entries, which would leave the auxiliary
// vector behind them out of step for who looks for it there.
Environment green_environment(Environment environment, const std::string& shim,
                              const Settings& settings);

}  // namespace tendril::command
