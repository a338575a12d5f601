#include "interpose/patch/patcher.hpp"

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdint>
#include <initializer_list>

#include "interpose/patch/code_object.hpp"
#include "interpose/patch/patched_call.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" void tendril_patched_entry();

namespace tendril::patch {
namespace {

constexpr size_t kJumpSize = 5;
constexpr size_t kSyscallSize = 2;
constexpr size_t kMostSites = 1024;
constexpr size_t kMostWindow = 24;

// A site, and the whole instructions before it that make room for a jump:
//
//   before:  | window (>= 5 bytes) | syscall |      after:  | jmp trampoline | nops | syscall |
struct Site {
  uint8_t* window;
  uint8_t* syscall;
  bool single;  // the window is one instruction: nothing can jump into it
};

// One for each site, in memory near libc.
struct Trampoline {
  void* after;  // what entry.S finds behind R11
  void* syscall;
  uint8_t code[kMostWindow + 10 + 14];  // window, movabs $record, %r11; jmp *entry(%rip); entry
};

struct Plan {
  CodeObject object;
  Site sites[kMostSites];
  size_t found = 0;
  size_t usable = 0;
  const char* why_not = nullptr;
};

Plan* plan = nullptr;

// Zydis is loaded only by processes that become green.
struct Decoder {
  decltype(&ZydisDecoderInit) init;
  decltype(&ZydisDecoderDecodeInstruction) decode;
  ZydisDecoder decoder;

  bool load() noexcept {
    void* library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return false;
    init = reinterpret_cast<decltype(init)>(dlsym(library, "ZydisDecoderInit"));
    decode = reinterpret_cast<decltype(decode)>(dlsym(library, "ZydisDecoderDecodeInstruction"));
    return init != nullptr && decode != nullptr &&
           ZYAN_SUCCESS(init(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
  }

  bool at(const uint8_t* address, const uint8_t* end, ZydisDecodedInstruction* out) noexcept {
    return ZYAN_SUCCESS(
        decode(&decoder, nullptr, address, static_cast<size_t>(end - address), out));
  }
};

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
bool examine(const CodeObject& object, Decoder& decoder, uint8_t* at, Site* site) noexcept {
  uint8_t* first;
  uint8_t* last;
  if (is_restorer(object, at) || !object.function_of(at, &first, &last)) return false;
  constexpr size_t kHistory = 8;
  struct {
    uint8_t* at;
    bool movable;
    size_t length;
  } history[kHistory];
  size_t count = 0;
  uint8_t* p = first;
  ZydisDecodedInstruction instruction;
  for (; p < at; p += instruction.length) {
    if (!decoder.at(p, last, &instruction)) return false;
    for (size_t i = kHistory - 1; i > 0; --i) history[i] = history[i - 1];
    history[0] = {p, is_movable(instruction), instruction.length};
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
void drop_reachable_windows(Plan& p) noexcept {
  constexpr size_t kGranule = 64;
  const size_t granules = static_cast<size_t>(p.object.end() - p.object.begin()) / kGranule + 1;
  const size_t map_bytes = rt::round_up_to_page(granules);
  auto* map = static_cast<uint8_t*>(rt::map_pages(map_bytes));
  if (map == nullptr) {
    for (size_t i = 0; i < p.usable; ++i) {
      if (!p.sites[i].single) p.sites[i--] = p.sites[--p.usable];
    }
    return;
  }
  const auto granule = [&](const uint8_t* a) {
    return static_cast<size_t>(a - p.object.begin()) / kGranule;
  };
  for (size_t i = 0; i < p.usable; ++i) {
    if (p.sites[i].single) continue;
    map[granule(p.sites[i].window)] = 1;
    map[granule(p.sites[i].syscall)] = 1;
  }
  for (const uint8_t* at = p.object.begin(); at + 4 <= p.object.end(); ++at) {
    int32_t displacement;
    __builtin_memcpy(&displacement, at, sizeof displacement);
    const uint8_t* target = at + 4 + displacement;
    if (target < p.object.begin() || target >= p.object.end() || map[granule(target)] == 0)
      continue;
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

// Memory within reach of a 32-bit displacement from all of libc.
uint8_t* map_near(const CodeObject& object, size_t bytes) noexcept {
  constexpr uintptr_t kStep = 1 << 20;
  constexpr uintptr_t kReach = uintptr_t{1} << 30;
  for (uintptr_t distance = kStep; distance < kReach; distance += kStep) {
    for (const uintptr_t hint : {reinterpret_cast<uintptr_t>(object.begin()) - distance - bytes,
                                 reinterpret_cast<uintptr_t>(object.end()) + distance}) {
      const uintptr_t page = hint & ~(rt::kPageSize - 1);
      const long got = rt::raw_syscall(SYS_mmap, page, bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      if (got > 0 && static_cast<uintptr_t>(got) == page) return reinterpret_cast<uint8_t*>(got);
    }
  }
  return nullptr;
}

// No memcpy: libc's is not executable while its pages are written.
void put(uint8_t*& to, const void* from, size_t bytes) noexcept {
  const auto* source = static_cast<const volatile uint8_t*>(from);
  for (size_t i = 0; i < bytes; ++i) {
    *static_cast<volatile uint8_t*>(to) = source[i];
    ++to;
  }
}

void put_byte(uint8_t*& to, uint8_t byte) noexcept { put(to, &byte, 1); }

void write_trampoline(Trampoline& trampoline, const Site& site) noexcept {
  trampoline.after = site.syscall + kSyscallSize;
  trampoline.syscall = site.syscall;
  uint8_t* code = trampoline.code;
  put(code, site.window, static_cast<size_t>(site.syscall - site.window));
  put_byte(code, 0x49);  // movabs $&trampoline, %r11
  put_byte(code, 0xbb);
  Trampoline* record = &trampoline;
  put(code, &record, sizeof record);
  constexpr uint8_t kJump[6] = {0xff, 0x25, 0, 0, 0, 0};  // jmp *0(%rip)
  put(code, kJump, sizeof kJump);
  void (*entry)() = tendril_patched_entry;
  put(code, &entry, sizeof entry);
}

void write_jump(const Site& site, const Trampoline& trampoline) noexcept {
  uint8_t* at = site.window;
  const auto displacement = static_cast<int32_t>(trampoline.code - (at + kJumpSize));
  put_byte(at, 0xe9);
  put(at, &displacement, sizeof displacement);
  while (at < site.syscall) put_byte(at, 0x90);
}

}  // namespace

void find_sites() noexcept {
  static Plan storage;
  plan = &storage;
  Decoder decoder;
  if (!prepare_calls()) {
    plan->why_not = "the CPU has no XSAVEC";
  } else if (!decoder.load()) {
    plan->why_not = "libZydis.so.4.0 is missing (package libzydis4.0)";
  } else if (!plan->object.find("libc.so.6")) {
    plan->why_not = "libc.so.6 is not of a form that we know";
  }
  if (plan->why_not != nullptr) return;
  CodeObject& object = plan->object;
  for (uint8_t* at = object.begin(); at + 1 < object.end(); ++at) {
    if (at[0] != 0x0f || at[1] != 0x05) continue;
    ++plan->found;
    if (plan->usable < kMostSites && examine(object, decoder, at, &plan->sites[plan->usable])) {
      ++plan->usable;
    }
  }
  drop_reachable_windows(*plan);
}

Outcome apply() noexcept {
  Outcome outcome{plan->found, 0, plan->why_not};
  if (plan->usable == 0) return outcome;
  const CodeObject& object = plan->object;
  const size_t bytes = rt::round_up_to_page(plan->usable * sizeof(Trampoline));
  uint8_t* memory = map_near(object, bytes);
  if (memory == nullptr) {
    outcome.why_not = "no memory near libc";
    return outcome;
  }
  auto* trampolines = reinterpret_cast<Trampoline*>(memory);
  for (size_t i = 0; i < plan->usable; ++i) write_trampoline(trampolines[i], plan->sites[i]);
  const auto first = reinterpret_cast<uintptr_t>(object.begin()) & ~(rt::kPageSize - 1);
  const size_t size = reinterpret_cast<uintptr_t>(object.end()) - first;
  if (rt::raw_syscall(SYS_mprotect, memory, bytes, PROT_READ | PROT_EXEC) != 0 ||
      rt::raw_syscall(SYS_mprotect, first, size, PROT_READ | PROT_WRITE) != 0) {
    outcome.why_not = "mprotect was denied";  // e.g. SELinux execmod
    return outcome;
  }
  for (size_t i = 0; i < plan->usable; ++i) write_jump(plan->sites[i], trampolines[i]);
  if (rt::raw_syscall(SYS_mprotect, first, size, PROT_READ | PROT_EXEC) != 0) {
    for (;;) rt::raw_syscall(SYS_exit_group, 126);  // libc is not executable: nothing can go on
  }
  outcome.patched = plan->usable;
  return outcome;
}

}  // namespace tendril::patch
