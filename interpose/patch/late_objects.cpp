#include "interpose/patch/late_objects.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "interpose/kernel/user_memory.hpp"
#include "interpose/patch/patcher.hpp"
#include "interpose/patch/trampolines.hpp"
#include "interpose/trap/observers.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::patch {
namespace {

CodeObject loader;

// Mapped, and not relocated yet: the loader does all that one dlopen brings in turn.
struct Candidate {
  uintptr_t begin, end;
};
constexpr size_t kMostCandidates = 128;
Candidate candidates[kMostCandidates];
size_t oldest = 0;  // the next to be replaced

// The loader has a lock of its own; a program that calls into it without (there are loaders of that
// kind for plugins) gets the trap.
std::atomic<bool> busy{false};

void note_mapping(uintptr_t begin, size_t size) noexcept {
  forget_objects(begin, begin + size);  // gone without our seeing it
  candidates[oldest] = {begin, begin + rt::round_up_to_page(size)};
  oldest = (oldest + 1) % kMostCandidates;
}

// The object whose relocated data has just become read-only from `address` on.
void patch_relocated(const Candidate& mapping, uintptr_t address) noexcept {
  union {
    ElfW(Ehdr) header;
    char page[rt::kPageSize];
  } first;
  if (kernel::copy_in(&first, reinterpret_cast<void*>(mapping.begin)) != 0) return;
  const ElfW(Ehdr)& header = first.header;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof(ElfW(Phdr)) ||
      header.e_phoff > sizeof first - header.e_phnum * sizeof(ElfW(Phdr))) {
    return;
  }
  const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(first.page + header.e_phoff);
  uintptr_t bias = mapping.begin;
  bool relocated = false;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) bias -= headers[i].p_vaddr;
    if (headers[i].p_type != PT_GNU_RELRO) continue;
    relocated = ((bias + headers[i].p_vaddr) & ~(rt::kPageSize - 1)) == address;
  }
  CodeObject object;
  Outcome outcome;
  if (relocated && object.read(bias, headers, header.e_phnum)) patch_object(object, &outcome);
}

void memory_changed(const kernel::Call& call, long result) noexcept {
  const auto from = static_cast<uintptr_t>(call.frame->uc_mcontext.gregs[REG_RIP]);
  if (!loader.contains(reinterpret_cast<const void*>(from)) || busy.exchange(true)) return;
  const auto address = static_cast<uintptr_t>(call.arguments[0]);
  const auto size = static_cast<size_t>(call.arguments[1]);
  const long protection = call.arguments[2];
  if (call.number == SYS_mmap) {
    // The first mapping of an object covers all of it.
    if (result > 0 && address == 0 && call.arguments[4] >= 0 && call.arguments[5] == 0 &&
        (call.arguments[3] & MAP_ANONYMOUS) == 0) {
      note_mapping(static_cast<uintptr_t>(result), size);
    }
  } else if (call.number == SYS_munmap && result == 0) {
    forget_objects(address, address + rt::round_up_to_page(size));
  } else if (call.number == SYS_mprotect && result == 0 && protection == PROT_READ) {
    for (Candidate& candidate : candidates) {
      if (address < candidate.begin || address >= candidate.end) continue;
      patch_relocated(candidate, address);
      candidate = {};
    }
  }
  busy.store(false);
}

}  // namespace

void watch_loader(const CodeObject& object) noexcept {
  loader = object;
  trap::observers.memory_changed = memory_changed;
}

}  // namespace tendril::patch
