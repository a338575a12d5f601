#include "runtime/platform/clock.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <cstring>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

int clock_gettime_by_call(clockid_t clock, timespec* now) noexcept {
  return static_cast<int>(raw_syscall(SYS_clock_gettime, clock, now));
}

// How many symbols there are, which only a hash table tells.
uint32_t symbols_of_gnu_hash(const uint32_t* table) noexcept {
  const uint32_t buckets = table[0];
  const uint32_t first_hashed = table[1];
  const uint32_t* bucket = table + 4 + table[2] * (sizeof(uint64_t) / sizeof(uint32_t));
  const uint32_t* chain = bucket + buckets;
  uint32_t last = 0;
  for (uint32_t i = 0; i < buckets; ++i) last = bucket[i] > last ? bucket[i] : last;
  if (last < first_hashed) return first_hashed;
  while ((chain[last - first_hashed] & 1) == 0) ++last;
  return last + 1;
}

// The Linux kernel's library in every process; null without one (valgrind hides it).
void* vdso_function(const char* name) noexcept {
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(getauxval(AT_SYSINFO_EHDR));
  if (header == nullptr) return nullptr;
  const auto base = reinterpret_cast<uintptr_t>(header);
  const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(base + header->e_phoff);
  const ElfW(Dyn)* dynamic = nullptr;
  uintptr_t bias = base;
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD) bias = base + segments[i].p_offset - segments[i].p_vaddr;
    if (segments[i].p_type == PT_DYNAMIC) {
      dynamic = reinterpret_cast<const ElfW(Dyn)*>(base + segments[i].p_offset);
    }
  }
  if (dynamic == nullptr) return nullptr;
  const char* names = nullptr;
  const ElfW(Sym)* symbols = nullptr;
  uint32_t count = 0;
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    const uintptr_t at = bias + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(at);
    if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(at);
    if (dynamic->d_tag == DT_HASH) count = reinterpret_cast<const uint32_t*>(at)[1];
    if (dynamic->d_tag == DT_GNU_HASH && count == 0) {
      count = symbols_of_gnu_hash(reinterpret_cast<const uint32_t*>(at));
    }
  }
  if (names == nullptr || symbols == nullptr) return nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    if (symbols[i].st_shndx != SHN_UNDEF && std::strcmp(names + symbols[i].st_name, name) == 0) {
      return reinterpret_cast<void*>(bias + symbols[i].st_value);
    }
  }
  return nullptr;
}

[[gnu::constructor(101)]] void find_clock() noexcept {
  if (void* function = vdso_function("__vdso_clock_gettime")) {
    kernel_clock = reinterpret_cast<ClockFunction*>(function);
  }
}

}  // namespace

constinit ClockFunction* kernel_clock = clock_gettime_by_call;

}  // namespace tendril::rt
