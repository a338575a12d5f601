#include "interpose/patch/text.hpp"

#include <fcntl.h>

#include <cstring>

#include "runtime/hub/fatal.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::patch {

TextWriter::TextWriter() noexcept
    : descriptor_(rt::raw_syscall(SYS_open, "/proc/self/mem", O_RDWR | O_CLOEXEC)) {}

TextWriter::~TextWriter() {
  if (descriptor_ >= 0) rt::raw_syscall(SYS_close, descriptor_);
}

bool TextWriter::write(uint8_t* at, const uint8_t* bytes, size_t size) noexcept {
  if (descriptor_ < 0) return false;
  uint8_t before[kMostWindow];
  std::memcpy(before, at, size);
  const long done = rt::raw_syscall(SYS_pwrite64, descriptor_, bytes, size, at);
  if (done == static_cast<long>(size)) return true;
  // A site may lie on two pages, of which the second could not be had.
  if (done > 0 && rt::raw_syscall(SYS_pwrite64, descriptor_, before, done, at) != done) {
    rt::fatal("code was left half written");
  }
  return false;
}

bool TextWriter::write_jumps(const SiteList& list, const Trampoline* trampolines,
                             size_t* written) noexcept {
  *written = 0;
  for (size_t i = 0; i < list.usable; ++i) {
    const Site& site = list.sites[i];
    const auto displacement = static_cast<int32_t>(trampolines[i].code - (site.window + kJumpSize));
    uint8_t jump[kMostWindow];
    std::memset(jump, 0x90, sizeof jump);  // nop
    jump[0] = 0xe9;
    std::memcpy(jump + 1, &displacement, sizeof displacement);
    if (write(site.window, jump, trampolines[i].window_size)) {
      ++*written;
    } else if (i == 0) {
      return false;
    }
  }
  return true;
}

}  // namespace tendril::patch
