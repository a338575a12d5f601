#include "interpose/patch/sites.hpp"

#include <emmintrin.h>

#include "runtime/memory/pages.hpp"

namespace tendril::patch {
namespace {

// Means the same wherever it stands.
bool is_movable(const ZydisDecodedInstruction& i) noexcept {
  if ((i.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0) return false;
  switch (i.meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_INTERRUPT:
      return false;
    default:
      // Windows that read or write R11 or RCX are fine: the trampoline uses R11 only afterwards.
      return true;
  }
}

bool touches_memory(const ZydisDecodedInstruction& i) noexcept {
  return i.meta.category != ZYDIS_CATEGORY_NOP && i.mnemonic != ZYDIS_MNEMONIC_LEA &&
         ((i.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && i.raw.modrm.mod != 3);
}

// Where a direct branch goes; null if it is none.
const uint8_t* branch_target(const ZydisDecodedInstruction& i, const uint8_t* at) noexcept {
  const bool branch = i.meta.category == ZYDIS_CATEGORY_COND_BR ||
                      i.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
                      i.meta.category == ZYDIS_CATEGORY_CALL;
  if (!branch || i.raw.imm[0].is_relative == 0) return nullptr;
  return at + i.length + i.raw.imm[0].value.s;
}

// `mov $15, %rax` before a `syscall`: the restorer of signal handlers. Unwinders know it by its
// bytes; and its unwind entry begins one byte early: decoded from there its boundaries are wrong.
bool is_restorer(const CodeObject& object, const uint8_t* at) noexcept {
  constexpr uint8_t kBytes[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0};
  return at - object.begin() >= static_cast<ptrdiff_t>(sizeof kBytes) &&
         __builtin_memcmp(at - sizeof kBytes, kBytes, sizeof kBytes) == 0;
}

// Examines one `0f 05`: a true syscall instruction with a window before it? Decodes its function
// from the start, so that instruction boundaries are certain.
bool examine(const CodeObject& object, const Decoder& decoder, uint8_t* at, Site* site) noexcept {
  uint8_t* first;
  uint8_t* last;
  if (is_restorer(object, at) || !object.function_of(at, &first, &last)) return false;
  constexpr size_t kHistory = 8;
  struct {
    uint8_t* at;
    bool movable;
    bool touches_memory;
    size_t length;
  } history[kHistory];
  size_t count = 0;
  uint8_t* p = first;
  ZydisDecodedInstruction instruction;
  for (; p < at; p += instruction.length) {
    if (!decoder.at(p, last, &instruction)) return false;
    for (size_t i = kHistory - 1; i > 0; --i) history[i] = history[i - 1];
    // A debugger's breakpoint, or bytes that are no code: nothing after it is certain.
    if (instruction.meta.category == ZYDIS_CATEGORY_INTERRUPT) return false;
    history[0] = {p, is_movable(instruction), touches_memory(instruction), instruction.length};
    if (count < kHistory) ++count;
  }
  if (p != at) return false;  // in the middle of another instruction
  size_t size = 0;
  size_t used = 0;
  while (size < kJumpSize) {
    if (used == count || !history[used].movable) return false;
    size += history[used++].length;
  }
  if (size > kMostWindow) return false;
  // A fault in the first instruction is told as one of the site, see position.cpp; there is no
  // such place for the others.
  for (size_t i = 0; i + 1 < used; ++i) {
    if (history[i].touches_memory) return false;
  }
  *site = {at - size, at, used == 1};
  if (site->single) return true;
  for (p = first; p < last; p += instruction.length) {
    if (!decoder.at(p, last, &instruction)) {
      p += 1;
      instruction.length = 0;
      continue;
    }
    const uint8_t* target = branch_target(instruction, p);
    if (target != nullptr && target > site->window && target < site->syscall) return false;
  }
  return true;
}

// Cold parts of a function lie elsewhere and jump back into it. Drops every window of several
// instructions into which four bytes anywhere in the text, read as a displacement, might point.
void drop_reachable_windows(const CodeObject& object, SiteList& p) noexcept {
  constexpr size_t kGranule = 64;
  size_t wide = 0;
  for (size_t i = 0; i < p.usable; ++i) wide += p.sites[i].single ? 0 : 1;
  if (wide == 0) return;
  const size_t granules = static_cast<size_t>(object.end() - object.begin()) / kGranule + 1;
  const size_t map_bytes = rt::round_up_to_page(granules);
  auto* map = static_cast<uint8_t*>(rt::map_pages(map_bytes));
  if (map == nullptr) {
    for (size_t i = 0; i < p.usable; ++i) {
      if (!p.sites[i].single) p.sites[i--] = p.sites[--p.usable];
    }
    return;
  }
  const auto granule = [&](const uint8_t* a) {
    return static_cast<size_t>(a - object.begin()) / kGranule;
  };
  for (size_t i = 0; i < p.usable; ++i) {
    if (p.sites[i].single) continue;
    map[granule(p.sites[i].window)] = 1;
    map[granule(p.sites[i].syscall)] = 1;
  }
  for (const uint8_t* at = object.begin(); at + 4 <= object.end(); ++at) {
    int32_t displacement;
    __builtin_memcpy(&displacement, at, sizeof displacement);
    const uint8_t* target = at + 4 + displacement;
    if (target < object.begin() || target >= object.end() || map[granule(target)] == 0) continue;
    for (size_t i = 0; i < p.usable; ++i) {
      const Site& site = p.sites[i];
      const bool own = at + 4 > site.window && at < site.syscall;
      if (!site.single && !own && target > site.window && target < site.syscall) {
        p.sites[i--] = p.sites[--p.usable];
      }
    }
  }
  rt::unmap_pages(map, map_bytes);
}

// The first `0f 05` in [at, end); `end` if there is none.
uint8_t* next_syscall(uint8_t* at, uint8_t* end) noexcept {
  const __m128i first = _mm_set1_epi8(0x0f);
  const __m128i second = _mm_set1_epi8(0x05);
  for (; end - at > 16; at += 16) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
    const int hits =
        _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(here, first), _mm_cmpeq_epi8(next, second)));
    if (hits != 0) return at + __builtin_ctz(static_cast<unsigned>(hits));
  }
  for (; at + 1 < end; ++at) {
    if (at[0] == 0x0f && at[1] == 0x05) return at;
  }
  return end;
}

}  // namespace

void find_sites(const CodeObject& object, const Decoder& decoder, SiteList& list) noexcept {
  list.found = 0;
  list.usable = 0;
  for (uint8_t* at = next_syscall(object.begin(), object.end()); at != object.end();
       at = next_syscall(at + 1, object.end())) {
    ++list.found;
    if (list.usable < kMostSites && examine(object, decoder, at, &list.sites[list.usable])) {
      ++list.usable;
    }
  }
  drop_reachable_windows(object, list);
}

}  // namespace tendril::patch
