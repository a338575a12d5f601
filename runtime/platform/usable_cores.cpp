#include "runtime/platform/usable_cores.hpp"

#include <fcntl.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kTextSize = 4096;

// The file's beginning as a string; false if it cannot be read.
bool read_text(const char* path, char (&text)[kTextSize]) noexcept {
  const long fd = raw_syscall(SYS_open, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const long got = raw_syscall(SYS_read, fd, text, kTextSize - 1);
  raw_syscall(SYS_close, fd);
  if (got < 0) return false;
  text[got] = '\0';
  return true;
}

unsigned cores_of_affinity() noexcept {
  constexpr size_t kMostCores = 8192;
  unsigned long mask[kMostCores / 8 / sizeof(unsigned long)] = {};
  const long bytes = raw_syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  unsigned cores = 0;
  for (long i = 0; i < bytes / static_cast<long>(sizeof mask[0]); ++i) {
    cores += static_cast<unsigned>(__builtin_popcountl(mask[i]));
  }
  return cores;
}

// quota / period, rounded up; 0: no limit.
unsigned cores_of(long long quota, long long period) noexcept {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<unsigned>((quota + period - 1) / period);
}

unsigned quota_of_directory(const char* directory, bool version2) noexcept {
  char path[kTextSize + 32];
  char text[kTextSize];
  if (version2) {
    std::snprintf(path, sizeof path, "%s/cpu.max", directory);
    if (!read_text(path, text) || std::strncmp(text, "max", 3) == 0) return 0;
    char* rest;
    const long long quota = std::strtoll(text, &rest, 10);
    return cores_of(quota, std::strtoll(rest, nullptr, 10));
  }
  std::snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
  if (!read_text(path, text)) return 0;
  const long long quota = std::strtoll(text, nullptr, 10);
  std::snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
  if (!read_text(path, text)) return 0;
  return cores_of(quota, std::strtoll(text, nullptr, 10));
}

// The least quota on the way from the group up to the root of its hierarchy. 0: no limit.
unsigned quota_upwards(const char* mount, const char* group, bool version2) noexcept {
  char directory[kTextSize];
  const int length = std::snprintf(directory, sizeof directory, "%s%s", mount, group);
  if (length < 0 || static_cast<size_t>(length) >= sizeof directory) return 0;
  unsigned least = 0;
  for (;;) {
    const unsigned cores = quota_of_directory(directory, version2);
    if (cores != 0 && (least == 0 || cores < least)) least = cores;
    char* slash = std::strrchr(directory, '/');
    if (slash == nullptr || std::strlen(directory) <= std::strlen(mount)) return least;
    *slash = '\0';
  }
}

// Lines of /proc/self/cgroup: "0::/group" is version 2, "N:...cpu...:/group" version 1.
unsigned cores_of_quota() noexcept {
  char text[kTextSize];
  if (!read_text("/proc/self/cgroup", text)) return 0;
  unsigned least = 0;
  char* state;
  for (char* line = strtok_r(text, "\n", &state); line != nullptr;
       line = strtok_r(nullptr, "\n", &state)) {
    char* controllers = std::strchr(line, ':');
    if (controllers == nullptr) continue;
    char* group = std::strchr(++controllers, ':');
    if (group == nullptr) continue;
    *group++ = '\0';
    const bool version2 = *controllers == '\0';
    bool counts = version2;
    char* names;
    for (char* name = strtok_r(controllers, ",", &names); name != nullptr;
         name = strtok_r(nullptr, ",", &names)) {
      counts = counts || std::strcmp(name, "cpu") == 0;
    }
    if (!counts) continue;
    if (std::strcmp(group, "/") == 0) group[0] = '\0';
    const unsigned cores =
        quota_upwards(version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", group, version2);
    if (cores != 0 && (least == 0 || cores < least)) least = cores;
  }
  return least;
}

}  // namespace

unsigned usable_cores() noexcept {
  const unsigned affinity = cores_of_affinity();
  const unsigned quota = cores_of_quota();
  const unsigned cores = quota != 0 && quota < affinity ? quota : affinity;
  return cores > 0 ? cores : 1;
}

}  // namespace tendril::rt
