// One line on stderr, put together without stdio or malloc: for messages of the runtime itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::kernel {

// Reports go to the stderr that the process had when it became green, and nowhere else: fd 2 may be
// the program's data by the time we speak. `beyond_close`: also when the program has closed it or
// put another in its place. That takes a duplicate, so whoever reads that stderr finds its end only
// when the process has ended: for reports that the user has asked for.
void keep_report_descriptor(bool beyond_close) noexcept;
// -1 when it is gone.
int report_descriptor() noexcept;
void reset_report_descriptor_after_fork() noexcept;

class Report {
 public:
  Report& text(const char* text) noexcept;
  Report& number(long long value) noexcept;
  Report& unsigned_number(uint64_t value) noexcept;
  Report& hex(uint64_t value) noexcept;
  // value / 10^digits with that many digits after the point
  Report& fixed(uint64_t value, int digits) noexcept;
  // Writes the line and a newline, in one write.
  void send() noexcept;

 private:
  void put(char c) noexcept {
    if (length_ < sizeof buffer_ - 1) buffer_[length_++] = c;
  }
  char buffer_[512];
  size_t length_ = 0;
};

}  // namespace tendril::kernel
