#include "interpose/kernel/mappings.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <atomic>
#include <cstdint>

#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/spin_lock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// linux/fs.h of 6.11; Debian 12's headers are older.
struct ProcmapQuery {
  uint64_t size, query_flags, query_addr;
  uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
  uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
  uint64_t vma_name_addr, build_id_addr;
};
constexpr unsigned long kProcmapQuery = _IOWR('f', 17, ProcmapQuery);
constexpr uint64_t kVmaShared = 0x08;

std::atomic<int> maps_descriptor{-1};

int maps() noexcept {
  int fd = maps_descriptor.load(std::memory_order_acquire);
  if (fd >= 0) return fd;
  const long opened = rt::raw_syscall(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (opened < 0) return -1;
  fd = rt::hide_descriptor(static_cast<int>(opened));
  int none = -1;
  if (!maps_descriptor.compare_exchange_strong(none, fd)) {
    rt::close_hidden_descriptor(fd);
    return none;
  }
  return fd;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Lines of "start-end perms ...", read in pieces; a line begins after each newline.
bool scan_maps(uintptr_t wanted) noexcept {
  const long fd = rt::raw_syscall(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  enum { kStart, kEnd, kFlags, kRest } field = kStart;
  uintptr_t start = 0;
  uintptr_t end = 0;
  int flag = 0;
  bool shared = false;
  char piece[512];
  for (long got; !shared && (got = rt::raw_syscall(SYS_read, fd, piece, sizeof piece)) > 0;) {
    for (long i = 0; i < got; ++i) {
      const char c = piece[i];
      if (c == '\n') {
        field = kStart;
        start = end = 0;
        flag = 0;
      } else if (field == kStart) {
        if (c == '-')
          field = kEnd;
        else
          start = start << 4 | static_cast<uintptr_t>(hex_digit(c));
      } else if (field == kEnd) {
        if (c == ' ')
          field = kFlags;
        else
          end = end << 4 | static_cast<uintptr_t>(hex_digit(c));
      } else if (field == kFlags && ++flag == 4) {
        if (c == 's' && wanted >= start && wanted < end) shared = true;
        field = kRest;
      }
    }
  }
  rt::raw_syscall(SYS_close, fd);
  return shared;
}

// Pages that were shared when they were asked for last, each at a place that its number says.
constexpr size_t kRemembered = 16;
constinit std::atomic<uintptr_t> shared_pages[kRemembered] = {};

bool ask(uintptr_t wanted) noexcept {
  ProcmapQuery query{};
  query.size = sizeof query;
  query.query_addr = wanted;
  const int fd = maps();
  if (fd >= 0 && rt::raw_syscall(SYS_ioctl, fd, kProcmapQuery, &query) == 0) {
    return (query.vma_flags & kVmaShared) != 0;
  }
  return scan_maps(wanted);
}

}  // namespace

bool is_shared_mapping(const void* address) noexcept {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  const uintptr_t page = wanted / rt::kPageSize;
  std::atomic<uintptr_t>& remembered = shared_pages[page % kRemembered];
  if (remembered.load(std::memory_order_relaxed) == page) return true;
  const bool shared = ask(wanted);
  if (shared) remembered.store(page, std::memory_order_relaxed);
  return shared;
}

void mappings_reset_after_fork() noexcept {
  const int fd = maps_descriptor.exchange(-1);
  if (fd < 0) return;
  rt::close_hidden_descriptor(fd);
}

}  // namespace tendril::kernel
