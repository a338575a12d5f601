#include "interpose/command/environment.hpp"

#include <algorithm>

namespace tendril::command {
namespace {

constexpr std::string_view kRseqTunable = "glibc.pthread.rseq=";

bool is_variable(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
}

std::vector<std::string> split(std::string_view list, std::string_view separators) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin < list.size()) {
    size_t end = list.find_first_of(separators, begin);
    if (end == std::string_view::npos) end = list.size();
    if (end > begin) parts.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string preload_list(const std::string& shim, bool seeded, std::string_view before) {
  const std::string switchpoints = switchpoints_beside(shim);
  std::string list = shim;
  if (seeded) list += ":" + switchpoints;
  // The loader takes spaces as well as colons between entries.
  for (const std::string& library : split(before, " :"))
    if (library != shim && library != switchpoints) list += ":" + library;
  return list;
}

std::string tunables(std::string_view before) {
  std::string list;
  for (const std::string& tunable : split(before, ":"))
    if (!tunable.starts_with(kRseqTunable)) list += tunable + ":";
  return list + std::string(kRseqTunable) + "0";
}

// How many the shim will take out of the program's sight.
size_t hidden_entries(const Environment& environment, const std::string& shim) {
  const std::string preload = "LD_PRELOAD=" + shim;
  const std::string tuned = "GLIBC_TUNABLES=" + std::string(kRseqTunable) + "0";
  return static_cast<size_t>(
      std::count_if(environment.begin(), environment.end(), [&](const std::string& entry) {
        return entry == preload || entry == tuned || entry.starts_with("TENDRIL_");
      }));
}

std::optional<std::string> flag(bool set) {
  return set ? std::optional<std::string>("1") : std::nullopt;
}

}  // namespace

std::string switchpoints_beside(const std::string& shim) {
  return shim.substr(0, shim.rfind('/') + 1) + std::string(kSwitchpointsName);
}

Environment copy_environment(const char* const* variables) {
  Environment environment;
  for (; variables != nullptr && *variables != nullptr; ++variables)
    environment.emplace_back(*variables);
  return environment;
}

std::optional<std::string_view> lookup(const Environment& environment, std::string_view name) {
  for (const std::string& entry : environment)
    if (is_variable(entry, name)) return std::string_view(entry).substr(name.size() + 1);
  return std::nullopt;
}

void assign(Environment& environment, std::string_view name,
            const std::optional<std::string>& value) {
  const auto has_name = [&](const std::string& entry) { return is_variable(entry, name); };
  auto first = std::find_if(environment.begin(), environment.end(), has_name);
  if (value && first == environment.end()) {
    environment.push_back(std::string(name) + "=" + *value);
    return;
  }
  if (value) *first++ = std::string(name) + "=" + *value;
  environment.erase(std::remove_if(first, environment.end(), has_name), environment.end());
}

Environment green_environment(Environment environment, const std::string& shim,
                              const Settings& settings) {
  // Made before the assignment: lookup() looks into what assign() replaces.
  std::string preload =
      preload_list(shim, settings.seed.has_value(), lookup(environment, "LD_PRELOAD").value_or(""));
  std::string tuned = tunables(lookup(environment, "GLIBC_TUNABLES").value_or(""));
  std::optional<std::string> stack;
  if (settings.stack_bytes) stack = std::to_string(*settings.stack_bytes);
  std::optional<std::string> workers;
  if (settings.workers) workers = std::to_string(*settings.workers);

  assign(environment, "LD_PRELOAD", preload);
  assign(environment, "GLIBC_TUNABLES", tuned);
  assign(environment, "TENDRIL_WORKERS", workers);
  assign(environment, "TENDRIL_STACK_SIZE", stack);
  std::optional<std::string> seed;
  if (settings.seed) seed = std::to_string(*settings.seed);
  assign(environment, "TENDRIL_SEED", seed);
  assign(environment, "TENDRIL_ON_DEADLOCK",
         settings.exit_on_deadlock ? std::optional<std::string>("exit") : std::nullopt);
  assign(environment, "TENDRIL_STATS", flag(settings.stats));
  assign(environment, "TENDRIL_VERBOSE", flag(settings.verbose));
  assign(environment, "TENDRIL_EVEN", std::nullopt);
  if (hidden_entries(environment, shim) % 2 != 0) assign(environment, "TENDRIL_EVEN", "1");
  return environment;
}

}  // namespace tendril::command
