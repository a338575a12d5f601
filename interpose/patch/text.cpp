#include "interpose/patch/text.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "runtime/hub/fatal.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::patch {
namespace {

uint8_t* page_of(uint8_t* at) noexcept {
  return at - reinterpret_cast<uintptr_t>(at) % rt::kPageSize;
}

void put_jump(uint8_t* to, const Site& site, const Trampoline& trampoline) noexcept {
  const auto displacement = static_cast<int32_t>(trampoline.code - (site.window + kJumpSize));
  std::memset(to, 0x90, trampoline.window_size);  // nop
  to[0] = 0xe9;
  std::memcpy(to + 1, &displacement, sizeof displacement);
}

// How many sites from the first on have their windows on its page; 0 if its own reaches beyond.
size_t count_on_page(const Site* sites, const Trampoline* trampolines, size_t most) noexcept {
  uint8_t* page = page_of(sites[0].window);
  size_t count = 0;
  while (count < most && page_of(sites[count].window) == page &&
         page_of(sites[count].window + trampolines[count].window_size - 1) == page) {
    ++count;
  }
  return count;
}

constinit uint8_t new_text[rt::kPageSize] = {};

// Pages that are replaced together; what lies between them is copied as well, for each part is a
// mapping of its own.
struct Part {
  static constexpr size_t kMostBetween = 8;

  Part(const Site& site, const Trampoline& trampoline) noexcept
      : begin(page_of(site.window)), end(end_of(site, trampoline)) {}
  static uint8_t* end_of(const Site& site, const Trampoline& trampoline) noexcept {
    return page_of(site.window + trampoline.window_size - 1) + rt::kPageSize;
  }
  bool takes(const Site& site, const Trampoline& trampoline) noexcept {
    if (page_of(site.window) > end + kMostBetween * rt::kPageSize) return false;
    end = end_of(site, trampoline);
    return true;
  }
  size_t size() const noexcept { return static_cast<size_t>(end - begin); }

  uint8_t* begin;
  uint8_t* end;
};

// False: nothing has changed.
bool replace(const Part& part, const Site* sites, const Trampoline* trampolines,
             size_t count) noexcept {
  const long mapped = rt::raw_syscall(SYS_mmap, nullptr, part.size(), PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped < 0 && mapped > -4096) return false;
  auto* copy = reinterpret_cast<uint8_t*>(mapped);
  std::memcpy(copy, part.begin, part.size());
  for (size_t i = 0; i < count; ++i) {
    put_jump(copy + (sites[i].window - part.begin), sites[i], trampolines[i]);
  }
  if (rt::raw_syscall(SYS_mprotect, copy, part.size(), PROT_READ | PROT_EXEC) == 0 &&
      rt::raw_syscall(SYS_mremap, copy, part.size(), part.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                      part.begin) == reinterpret_cast<long>(part.begin)) {
    return true;
  }
  rt::raw_syscall(SYS_munmap, copy, part.size());
  return false;
}

}  // namespace

TextWriter::TextWriter() noexcept
    : descriptor_(rt::raw_syscall(SYS_open, "/proc/self/mem", O_RDWR | O_CLOEXEC)) {}

TextWriter::~TextWriter() {
  if (descriptor_ >= 0) rt::raw_syscall(SYS_close, descriptor_);
}

bool TextWriter::write(uint8_t* at, const uint8_t* bytes, size_t size) noexcept {
  return descriptor_ >= 0 &&
         rt::raw_syscall(SYS_pwrite64, descriptor_, bytes, size, at) == static_cast<long>(size);
}

bool TextWriter::write_on_page(const Site* sites, const Trampoline* trampolines,
                               size_t count) noexcept {
  uint8_t* const page = page_of(sites[0].window);
  uint8_t* begin = page + rt::kPageSize;
  uint8_t* end = page;
  std::memcpy(new_text, page, rt::kPageSize);
  for (size_t i = 0; i < count; ++i) {
    put_jump(new_text + (sites[i].window - page), sites[i], trampolines[i]);
    begin = std::min(begin, sites[i].window);
    end = std::max(end, sites[i].window + trampolines[i].window_size);
  }
  return write(begin, new_text + (begin - page), static_cast<size_t>(end - begin));
}

bool TextWriter::write_across_pages(const Site& site, const Trampoline& trampoline) noexcept {
  uint8_t jump[kMostWindow];
  uint8_t before[kMostWindow];
  put_jump(jump, site, trampoline);
  std::memcpy(before, site.window, trampoline.window_size);
  if (write(site.window, jump, trampoline.window_size)) return true;
  // The second page could not be had: the first must be as it was.
  const auto on_first = static_cast<size_t>(page_of(site.syscall - 1) - site.window);
  if (std::memcmp(before, site.window, on_first) != 0 && !write(site.window, before, on_first)) {
    rt::fatal("code was left half written");
  }
  return false;
}

bool TextWriter::replace_pages(const SiteList& list, const Trampoline* trampolines,
                               size_t* written) noexcept {
  for (size_t i = 0; i < list.usable;) {
    const size_t first = i;
    Part part(list.sites[i], trampolines[i]);
    do {
      ++i;
    } while (i < list.usable && part.takes(list.sites[i], trampolines[i]));
    if (replace(part, &list.sites[first], &trampolines[first], i - first)) {
      *written += i - first;
    } else if (first == 0) {
      return false;
    }
  }
  return true;
}

bool TextWriter::write_jumps(const SiteList& list, const Trampoline* trampolines,
                             size_t* written) noexcept {
  *written = 0;
  if (descriptor_ < 0) return replace_pages(list, trampolines, written);
  for (size_t i = 0; i < list.usable;) {
    const size_t together = count_on_page(&list.sites[i], &trampolines[i], list.usable - i);
    const bool done = together != 0 ? write_on_page(&list.sites[i], &trampolines[i], together)
                                    : write_across_pages(list.sites[i], trampolines[i]);
    const size_t count = together != 0 ? together : 1;
    if (done) {
      *written += count;
    } else if (i == 0) {
      return false;
    }
    i += count;
  }
  return true;
}

}  // namespace tendril::patch
