#include "runtime/hub/hidden_descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr int kMostHidden = 32;
std::atomic<int> hidden[kMostHidden];  // fd + 1; 0 is free

}  // namespace

int hide_descriptor(int fd) noexcept {
  constexpr int kHighest = 4096;  // fork copies the table up to there
  rlimit limit{};
  raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  const int top = limit.rlim_cur < kHighest ? static_cast<int>(limit.rlim_cur) : kHighest;
  int moved = -1;
  for (int from = top - kMostHidden; from > 0 && moved < 0; from /= 2) {
    moved = static_cast<int>(raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from));
  }
  if (moved >= 0) {
    raw_syscall(SYS_close, fd);
    fd = moved;
  }
  for (auto& slot : hidden) {
    int free = 0;
    if (slot.compare_exchange_strong(free, fd + 1)) break;
  }
  return fd;
}

bool is_hidden_descriptor(int fd) noexcept {
  for (auto& slot : hidden) {
    if (slot.load(std::memory_order_relaxed) == fd + 1) return fd >= 0;
  }
  return false;
}

void close_hidden_descriptor(int fd) noexcept {
  // Forgotten first: once it is closed, another thread may hide another of the same number.
  for (auto& slot : hidden) {
    int expected = fd + 1;
    slot.compare_exchange_strong(expected, 0);
  }
  raw_syscall(SYS_close, fd);
}

}  // namespace tendril::rt
