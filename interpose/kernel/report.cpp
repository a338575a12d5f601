#include "interpose/kernel/report.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kStderr = 2;

int duplicate = -1;
struct stat at_start;  // of fd 2; st_ino 0: there was none

bool look_at_stderr(struct stat* found) noexcept {
  return rt::raw_syscall(SYS_fstat, kStderr, found) == 0;
}

}  // namespace

void keep_report_descriptor(bool beyond_close) noexcept {
  if (!look_at_stderr(&at_start)) at_start = {};
  if (!beyond_close) return;
  const long copy = rt::raw_syscall(SYS_fcntl, kStderr, F_DUPFD_CLOEXEC, 3);
  if (copy >= 0) duplicate = rt::hide_descriptor(static_cast<int>(copy));
}

int report_descriptor() noexcept {
  if (duplicate >= 0) return duplicate;
  struct stat now;
  const bool same =
      look_at_stderr(&now) && now.st_dev == at_start.st_dev && now.st_ino == at_start.st_ino;
  return same || at_start.st_ino == 0 ? kStderr : -1;
}

void reset_report_descriptor_after_fork() noexcept {
  if (duplicate < 0) return;
  rt::close_hidden_descriptor(duplicate);
  duplicate = -1;
}

Report& Report::text(const char* text) noexcept {
  while (*text != '\0') put(*text++);
  return *this;
}

Report& Report::number(long long value) noexcept {
  if (value < 0) put('-');
  return unsigned_number(value < 0 ? uint64_t{0} - static_cast<uint64_t>(value)
                                   : static_cast<uint64_t>(value));
}

Report& Report::unsigned_number(uint64_t value) noexcept {
  char digits[24];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) put(digits[--count]);
  return *this;
}

Report& Report::hex(uint64_t value) noexcept {
  text("0x");
  int shift = 60;
  while (shift > 0 && (value >> shift & 15) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) put("0123456789abcdef"[value >> shift & 15]);
  return *this;
}

Report& Report::fixed(uint64_t value, int digits) noexcept {
  uint64_t scale = 1;
  for (int i = 0; i < digits; ++i) scale *= 10;
  number(static_cast<long long>(value / scale));
  put('.');
  for (scale /= 10; scale > 0; scale /= 10) put(static_cast<char>('0' + value / scale % 10));
  return *this;
}

void Report::send() noexcept {
  buffer_[length_++] = '\n';
  if (const int to = report_descriptor(); to >= 0) {
    rt::raw_syscall(SYS_write, to, buffer_, length_);
  }
}

}  // namespace tendril::kernel
