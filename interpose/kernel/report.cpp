#include "interpose/kernel/report.hpp"

#include <fcntl.h>

#include "runtime/hub/poller.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {
int kept_descriptor = 2;
}

void keep_report_descriptor() noexcept {
  const long copy = rt::raw_syscall(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 3);
  if (copy >= 0) kept_descriptor = rt::hide_descriptor(static_cast<int>(copy));
}

int report_descriptor() noexcept { return kept_descriptor; }

void reset_report_descriptor_after_fork() noexcept {
  if (kept_descriptor == 2) return;
  rt::raw_syscall(SYS_close, kept_descriptor);
  rt::forget_hidden_descriptor(kept_descriptor);
  kept_descriptor = 2;
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
  rt::raw_syscall(SYS_write, kept_descriptor, buffer_, length_);
}

}  // namespace tendril::kernel
