#include "interpose/patch/sites.hpp"

#include <emmintrin.h>
#include <sys/syscall.h>

#include "runtime/memory/pages.hpp"

namespace tendril::patch {
namespace {

// Goes on with the next instruction, and knows no more of where it stands than by its operands.
bool goes_straight_on(const ZydisDecodedInstruction& i) noexcept {
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

// Means the same wherever it stands.
bool is_movable(const ZydisDecodedInstruction& i) noexcept {
  return (i.attributes & ZYDIS_ATTRIB_IS_RELATIVE) == 0 && goes_straight_on(i);
}

// An operand in the frame of the function, a few bytes above the stack pointer: nothing is told of
// a fault there, since none can come from a stack that has just been used.
bool touches_own_frame(const ZydisDecodedInstruction& i) noexcept {
  constexpr uint8_t kSib = 4;           // in place of a register
  constexpr uint8_t kStackPointer = 4;  // as base; as index: none
  return i.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && i.raw.modrm.mod == 1 &&
         i.raw.modrm.rm == kSib && i.raw.sib.base == kStackPointer &&
         i.raw.sib.index == kStackPointer && i.raw.rex.B == 0 && i.raw.rex.X == 0 &&
         i.raw.disp.value >= 0;
}

bool touches_memory(const ZydisDecodedInstruction& i) noexcept {
  if (i.meta.category == ZYDIS_CATEGORY_PUSH || i.meta.category == ZYDIS_CATEGORY_POP) return true;
  return i.meta.category != ZYDIS_CATEGORY_NOP && i.mnemonic != ZYDIS_MNEMONIC_LEA &&
         ((i.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && i.raw.modrm.mod != 3);
}

// An operand near the instruction (a variable of the library's own, or its address), which is the
// same from elsewhere with another displacement.
bool has_near_operand(const ZydisDecodedInstruction& i) noexcept {
  constexpr int64_t kNear = int64_t{1} << 29;
  return (i.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && goes_straight_on(i) &&
         i.raw.modrm.mod == 0 && i.raw.modrm.rm == 5 && i.raw.disp.size == 32 &&
         i.raw.disp.offset + 4 == i.length && i.raw.disp.value < kNear &&
         i.raw.disp.value > -kNear && i.address_width == 64;
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

// Decodes functions from their starts, so that instruction boundaries are certain: each one once,
// however many sites it has, which come in ascending order.
class Walk {
 public:
  Walk(const CodeObject& object, const Decoder& decoder) noexcept
      : object_(object), decoder_(decoder) {}

  // Goes on until an instruction begins at `at`. False if none does, or if what lies before it is
  // not certain.
  bool reach(const uint8_t* at) noexcept {
    if (at < position_ || at >= last_) {
      count_ = 0;
      if (!object_.function_of(at, &first_, &last_)) {
        position_ = last_ = nullptr;
        return false;
      }
      position_ = first_;
    }
    while (position_ < at) {
      const size_t length = decoder_.length_at(position_, last_);
      // Bytes that are no code, or a debugger's breakpoint: nothing after it is certain.
      if (length == 0 || *position_ == kBreakpoint) {
        position_ = last_;  // later sites begin anew and fail likewise
        return false;
      }
      starts_[count_++ % kHistory] = position_;
      position_ += length;
    }
    return position_ == at;  // if not, `at` is in the middle of an instruction
  }

  // The start of the instruction that is so many before the place reached; null if that is outside
  // the function or too far back.
  uint8_t* back(size_t so_many) const noexcept {
    return so_many > count_ || so_many > kHistory ? nullptr
                                                  : starts_[(count_ - so_many) % kHistory];
  }

  const uint8_t* first() const noexcept { return first_; }
  const uint8_t* last() const noexcept { return last_; }

 private:
  static constexpr size_t kHistory = 8;
  static constexpr uint8_t kBreakpoint = 0xcc;

  const CodeObject& object_;
  const Decoder& decoder_;
  uint8_t* first_ = nullptr;
  uint8_t* last_ = nullptr;
  uint8_t* position_ = nullptr;
  size_t count_ = 0;
  uint8_t* starts_[kHistory];
};

// glibc ends a thread in a loop around exit, which is never gone round:
//
//   mov $60,%edx | (nop) | xor %edi,%edi | mov %edx,%eax | syscall | jmp to the xor
bool is_exit_loop(const Decoder& decoder, const Walk& walk, const uint8_t* at) noexcept {
  constexpr uint8_t kLoop[] = {0x31, 0xff, 0x89, 0xd0, 0x0f, 0x05, 0xeb, 0xf8};
  constexpr uint8_t kNumber[] = {0xba, SYS_exit, 0, 0, 0};
  constexpr ptrdiff_t kBefore = 4;
  if (at - walk.first() < kBefore + static_cast<ptrdiff_t>(sizeof kNumber) ||
      walk.last() - at < static_cast<ptrdiff_t>(sizeof kLoop) - kBefore ||
      __builtin_memcmp(at - kBefore, kLoop, sizeof kLoop) != 0) {
    return false;
  }
  const uint8_t* before = walk.back(3);
  ZydisDecodedInstruction instruction;
  if (before == nullptr || !decoder.at(before, at, &instruction)) return false;
  // `66 90` is one of the forms of `xchg %ax,%ax`.
  const bool pads = instruction.meta.category == ZYDIS_CATEGORY_NOP ||
                    instruction.meta.category == ZYDIS_CATEGORY_WIDENOP ||
                    (before[0] == 0x66 && before[1] == 0x90);
  if (pads) before = walk.back(4);
  return before != nullptr && __builtin_memcmp(before, kNumber, sizeof kNumber) == 0;
}

// May control come to the middle of the window from elsewhere in its function? By a direct branch,
// or by a table of a `switch`, which is not looked at. Not by the one that is never taken.
bool is_entered(const Decoder& decoder, const Walk& walk, const Site& site) noexcept {
  const uint8_t* never_taken =
      is_exit_loop(decoder, walk, site.syscall) ? site.syscall + kSyscallSize : nullptr;
  ZydisDecodedInstruction instruction;
  for (const uint8_t* p = walk.first(); p < walk.last(); p += instruction.length) {
    if (!decoder.at(p, walk.last(), &instruction)) {
      instruction.length = 1;
      continue;
    }
    if (instruction.meta.category == ZYDIS_CATEGORY_UNCOND_BR &&
        instruction.raw.imm[0].is_relative == 0) {
      return true;
    }
    const uint8_t* target = p == never_taken ? nullptr : branch_target(instruction, p);
    if (target != nullptr && target > site.window && target < site.syscall) return true;
  }
  return false;
}

// Examines one `0f 05`: a true syscall instruction with a window before it?
bool examine(const CodeObject& object, const Decoder& decoder, Walk& walk, uint8_t* at,
             Site* site) noexcept {
  if (is_restorer(object, at) || !walk.reach(at)) return false;
  size_t used = 0;
  uint8_t* window = at;
  while (at - window < static_cast<ptrdiff_t>(kJumpSize)) {
    window = walk.back(++used);
    ZydisDecodedInstruction instruction;
    if (window == nullptr || !decoder.at(window, at, &instruction)) return false;
    if (used == 1 && at - window >= static_cast<ptrdiff_t>(kJumpSize) &&
        has_near_operand(instruction)) {
      *site = {window, at, true, sizeof(int32_t)};
      return true;
    }
    if (!is_movable(instruction)) return false;
    // A fault in the first instruction is told as one of the site, see position.cpp; there is no
    // such place for the others.
    if (at - window < static_cast<ptrdiff_t>(kJumpSize) && touches_memory(instruction) &&
        !touches_own_frame(instruction)) {
      return false;
    }
  }
  if (at - window > static_cast<ptrdiff_t>(kMostWindow)) return false;
  *site = {window, at, used == 1, 0};
  return site->single || !is_entered(decoder, walk, *site);
}

// The bytes in [at, at + 16), with one before them, that may be the last ones before a displacement
// of 32 bits: of a call, a jump, a conditional jump, or of an operand relative to the instruction
// pointer, as of a `lea` that takes the address of a label.
int displacements_may_follow(const uint8_t* at) noexcept {
  const auto all = [](int byte) { return _mm_set1_epi8(static_cast<char>(byte)); };
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i call_or_jump = _mm_cmpeq_epi8(_mm_and_si128(bytes, all(0xfe)), all(0xe8));
  const __m128i before = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at - 1));
  const __m128i conditional =
      _mm_and_si128(_mm_cmpeq_epi8(before, all(0x0f)),
                    _mm_cmpeq_epi8(_mm_and_si128(bytes, all(0xf0)), all(0x80)));
  const __m128i operand = _mm_cmpeq_epi8(_mm_and_si128(bytes, all(0xc7)), all(0x05));
  return _mm_movemask_epi8(_mm_or_si128(call_or_jump, _mm_or_si128(conditional, operand)));
}

// Cold parts of a function lie elsewhere and jump back into it. Drops every window of several
// instructions into which a displacement anywhere in the text, be it one or not, might point.
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
  const auto look = [&](const uint8_t* at) {
    int32_t displacement;
    __builtin_memcpy(&displacement, at, sizeof displacement);
    const uint8_t* target = at + 4 + displacement;
    if (target < object.begin() || target >= object.end() || map[granule(target)] == 0) return;
    for (size_t i = 0; i < p.usable; ++i) {
      const Site& site = p.sites[i];
      const bool own = at + 4 > site.window && at < site.syscall;
      if (!site.single && !own && target > site.window && target < site.syscall) {
        p.sites[i--] = p.sites[--p.usable];
      }
    }
  };
  const uint8_t* at = object.begin();
  if (at < object.end()) look(at++);
  for (; object.end() - at >= 32; at += 16) {
    for (int hits = displacements_may_follow(at); hits != 0; hits &= hits - 1) {
      look(at + __builtin_ctz(static_cast<unsigned>(hits)) + 1);
    }
  }
  for (; object.end() - at >= 4; ++at) look(at);
  rt::unmap_pages(map, map_bytes);
}

// The first `0f 05` in [at, end); `end` if there is none.
uint8_t* next_syscall(uint8_t* at, uint8_t* end) noexcept {
  const __m128i first = _mm_set1_epi8(kSyscallCode[0]);
  const __m128i second = _mm_set1_epi8(kSyscallCode[1]);
  for (; end - at > 16; at += 16) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
    const int hits =
        _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(here, first), _mm_cmpeq_epi8(next, second)));
    if (hits != 0) return at + __builtin_ctz(static_cast<unsigned>(hits));
  }
  for (; at + 1 < end; ++at) {
    if (__builtin_memcmp(at, kSyscallCode, kSyscallSize) == 0) return at;
  }
  return end;
}

}  // namespace

void find_sites(const CodeObject& object, const Decoder& decoder, SiteList& list) noexcept {
  list.found = 0;
  list.usable = 0;
  Walk walk(object, decoder);
  for (uint8_t* at = next_syscall(object.begin(), object.end()); at != object.end();
       at = next_syscall(at + 1, object.end())) {
    ++list.found;
    if (list.usable < kMostSites && examine(object, decoder, walk, at, &list.sites[list.usable])) {
      ++list.usable;
    }
  }
  drop_reachable_windows(object, list);
}

}  // namespace tendril::patch
