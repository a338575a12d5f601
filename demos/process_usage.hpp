// What another process uses, as the kernel accounts for it: CPU time, threads, memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>
#include <system_error>

namespace demos {

/// Nanoseconds of CPU that all threads of `process` have used, the finished ones included.
inline std::int64_t cpu_ns(pid_t process) {
  clockid_t clock;
  timespec used;
  const int error = clock_getcpuclockid(process, &clock);
  if (error != 0) throw std::system_error(error, std::generic_category(), "clock_getcpuclockid");
  if (clock_gettime(clock, &used) != 0) {
    throw std::system_error(errno, std::generic_category(), "clock_gettime");
  }
  return used.tv_sec * std::int64_t{1'000'000'000} + used.tv_nsec;
}

struct Memory {
  long threads = 0;           // of the kernel
  long resident_kb = 0;       // proportional set size, or resident set size where that is missing
  long page_tables_kb = 0;    //
  long kernel_stacks_kb = 0;  // 16 KB a thread on x86-64

  long total_kb() const { return resident_kb + page_tables_kb + kernel_stacks_kb; }
};

inline long kb_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::stol(line.substr(key.size()));
  }
  return -1;
}

inline Memory memory_of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process);
  Memory memory;
  memory.threads = kb_in(folder + "/status", "Threads:");
  memory.page_tables_kb = kb_in(folder + "/status", "VmPTE:");
  memory.resident_kb = kb_in(folder + "/smaps_rollup", "Pss:");
  if (memory.resident_kb < 0) memory.resident_kb = kb_in(folder + "/status", "VmRSS:");
  memory.kernel_stacks_kb = memory.threads * 16;
  return memory;
}

}  // namespace demos
