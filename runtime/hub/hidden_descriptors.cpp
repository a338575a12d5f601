#include "runtime/hub/hidden_descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

// A bit for each number; of a few pages of them only one is ever touched in most processes.
constexpr unsigned kMostNumbers = 1 << 20;
constexpr unsigned kBits = 64;
std::atomic<uint64_t> hidden[kMostNumbers / kBits];
std::atomic<unsigned> highest{0};  // that ever was hidden

constexpr uint64_t bit_of(unsigned number) noexcept { return uint64_t{1} << number % kBits; }

bool note_hidden(int fd) noexcept {
  const auto number = static_cast<unsigned>(fd);
  if (number >= kMostNumbers) return false;
  hidden[number / kBits].fetch_or(bit_of(number), std::memory_order_relaxed);
  unsigned before = highest.load(std::memory_order_relaxed);
  while (before < number && !highest.compare_exchange_weak(before, number)) {
  }
  return true;
}

// As high as is reasonable.
int duplicate_high(int fd) noexcept {
  constexpr int kHighest = 4096;  // fork copies the table up to there
  constexpr int kRoom = 32;
  rlimit limit{};
  raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  const int top = limit.rlim_cur < kHighest ? static_cast<int>(limit.rlim_cur) : kHighest;
  int moved = -1;
  for (int from = top - kRoom; from > 0 && moved < 0; from /= 2) {
    moved = static_cast<int>(raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from));
  }
  return moved;
}

}  // namespace

int hide_descriptor(int fd) noexcept {
  const int moved = duplicate_high(fd);
  if (moved >= 0) {
    raw_syscall(SYS_close, fd);
    fd = moved;
  }
  note_hidden(fd);
  return fd;
}

int duplicate_hidden(int fd) noexcept {
  const int duplicate = duplicate_high(fd);
  if (duplicate >= 0 && !note_hidden(duplicate)) {
    raw_syscall(SYS_close, duplicate);
    return -1;
  }
  return duplicate;
}

bool is_hidden_descriptor(int fd) noexcept {
  const auto number = static_cast<unsigned>(fd);
  return number < kMostNumbers &&
         (hidden[number / kBits].load(std::memory_order_relaxed) & bit_of(number)) != 0;
}

int next_hidden_descriptor(unsigned first) noexcept {
  const unsigned last = highest.load(std::memory_order_relaxed);
  for (unsigned number = first; number <= last;) {
    const uint64_t bits =
        hidden[number / kBits].load(std::memory_order_relaxed) & ~(bit_of(number) - 1);
    if (bits != 0) return static_cast<int>(number / kBits * kBits) + __builtin_ctzll(bits);
    number = (number / kBits + 1) * kBits;
  }
  return -1;
}

void close_hidden_descriptor(int fd) noexcept {
  // Forgotten first: once it is closed, another thread may hide another of the same number.
  const auto number = static_cast<unsigned>(fd);
  if (number < kMostNumbers) {
    hidden[number / kBits].fetch_and(~bit_of(number), std::memory_order_relaxed);
  }
  raw_syscall(SYS_close, fd);
}

}  // namespace tendril::rt
