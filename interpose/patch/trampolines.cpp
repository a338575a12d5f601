#include "interpose/patch/trampolines.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <initializer_list>

#include "interpose/patch/layout.h"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" {
void tendril_patched_entry();
void tendril_patched_pass();
extern uint8_t tendril_call_class[CALL_CLASSES];
}

namespace tendril::patch {
namespace {

// Slots are filled once and never reused, so that a signal handler on another worker sees a range
// or none, never half of two.
constexpr size_t kMostObjects = 1024;
struct Slot {
  PatchedObject object;
  std::atomic<bool> alive{false};
};
constinit Slot slots[kMostObjects];
std::atomic<size_t> slot_count{0};

// Memory within reach of a 32-bit displacement from all of an object.
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

template <typename T>
uint8_t* put(uint8_t* to, const T& what) noexcept {
  std::memcpy(to, &what, sizeof what);
  return to + sizeof what;
}

// True if the window is `mov $number, %eax`, of a call that the kernel may make at once.
bool always_passes(const Site& site) noexcept {
  constexpr uint8_t kMovEax = 0xb8;
  uint32_t number;
  if (!site.single || site.window[0] != kMovEax ||
      site.syscall - site.window != 1 + static_cast<ptrdiff_t>(sizeof number)) {
    return false;
  }
  std::memcpy(&number, site.window + 1, sizeof number);
  return number < CALL_CLASSES && tendril_call_class[number] == CALL_NATIVE;
}

void write_trampoline(Trampoline* trampoline, const Site& site) noexcept {
  trampoline->after = site.syscall + kSyscallSize;
  trampoline->syscall = site.syscall;
  trampoline->window = site.window;
  trampoline->window_size = static_cast<size_t>(site.syscall - site.window);
  std::memcpy(trampoline->code, site.window, trampoline->window_size);
  uint8_t* code = trampoline->code + trampoline->window_size;
  if (site.displacement != 0) {
    int32_t displacement;
    std::memcpy(&displacement, code - site.displacement, sizeof displacement);
    displacement += static_cast<int32_t>(site.window - trampoline->code);
    std::memcpy(code - site.displacement, &displacement, sizeof displacement);
  }
  trampoline->entry = always_passes(site) ? &tendril_patched_pass : &tendril_patched_entry;
  constexpr uint8_t kMovR11[2] = {0x49, 0xbb};  // movabs $trampoline, %r11
  constexpr uint8_t kJump[2] = {0xff, 0x25};    // jmp *displacement(%rip)
  code = put(code, kMovR11);
  code = put(code, reinterpret_cast<uintptr_t>(trampoline));
  code = put(code, kJump);
  const uint8_t* after_jump = code + sizeof(int32_t);
  put(code, static_cast<int32_t>(reinterpret_cast<uint8_t*>(&trampoline->entry) - after_jump));
}

size_t bytes_of(size_t count) noexcept { return rt::round_up_to_page(count * sizeof(Trampoline)); }

}  // namespace

Trampoline* make_trampolines(const CodeObject& object, const SiteList& list,
                             const char** why_not) noexcept {
  const size_t bytes = bytes_of(list.usable);
  uint8_t* memory = map_near(object, bytes);
  if (memory == nullptr) {
    *why_not = "no memory within reach";
    return nullptr;
  }
  auto* trampolines = reinterpret_cast<Trampoline*>(memory);
  for (size_t i = 0; i < list.usable; ++i) write_trampoline(&trampolines[i], list.sites[i]);
  if (rt::raw_syscall(SYS_mprotect, memory, bytes, PROT_READ | PROT_EXEC) != 0) {
    *why_not = "mprotect was denied";
    drop_trampolines(trampolines, list.usable);
    return nullptr;
  }
  return trampolines;
}

void drop_trampolines(Trampoline* trampolines, size_t count) noexcept {
  rt::raw_syscall(SYS_munmap, trampolines, bytes_of(count));
}

bool has_room() noexcept { return slot_count.load(std::memory_order_relaxed) < kMostObjects; }

void add_object(const PatchedObject& object) noexcept {
  const size_t index = slot_count.load(std::memory_order_relaxed);
  slots[index].object = object;
  slots[index].alive.store(true, std::memory_order_relaxed);
  slot_count.store(index + 1, std::memory_order_release);
}

bool is_patched(uintptr_t text_begin) noexcept {
  const size_t count = slot_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    if (slots[i].alive.load() && slots[i].object.text_begin == text_begin) return true;
  }
  return false;
}

void forget_objects(uintptr_t begin, uintptr_t end) noexcept {
  const size_t count = slot_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    const PatchedObject& object = slots[i].object;
    if (object.text_begin < begin || object.text_end > end) continue;
    if (slots[i].alive.exchange(false)) drop_trampolines(object.trampolines, object.count);
  }
}

const Trampoline* trampoline_at(uintptr_t address) noexcept {
  const size_t count = slot_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    const auto begin = reinterpret_cast<uintptr_t>(slots[i].object.trampolines);
    if (address < begin || address >= begin + slots[i].object.count * sizeof(Trampoline)) continue;
    if (!slots[i].alive.load(std::memory_order_acquire)) continue;
    return slots[i].object.trampolines + (address - begin) / sizeof(Trampoline);
  }
  return nullptr;
}

}  // namespace tendril::patch
