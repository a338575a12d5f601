// Trampolines: what the jumps of patched sites lead to.
//
//   trampoline   | the window's instructions | mov $record, %r11 | jmp tendril_patched_entry |
//
// or to tendril_patched_pass, where what the call is can be seen in the window.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/patch/sites.hpp"

namespace tendril::patch {

struct Trampoline {
  void* after;  // what entry.S finds behind R11
  void* syscall;
  uint8_t* window;
  size_t window_size;
  void (*entry)();                     // aligned: the program may have alignment checks on
  uint8_t code[kMostWindow + 10 + 6];  // window, movabs $record, %r11; jmp *entry(%rip)
};

// Makes the trampolines of an object's sites, within reach of a jump from all of it, executable.
// Null, and *why_not, if that is impossible.
Trampoline* make_trampolines(const CodeObject& object, const SiteList& list,
                             const char** why_not) noexcept;
void drop_trampolines(Trampoline* trampolines, size_t count) noexcept;

// --- the objects that are patched ---

struct PatchedObject {
  uintptr_t text_begin = 0, text_end = 0;
  Trampoline* trampolines = nullptr;
  size_t count = 0;
};

// Room for one more? A process that loads and unloads without end runs out of it at some time:
// its later objects stay with the trap.
bool has_room() noexcept;
void add_object(const PatchedObject& object) noexcept;
bool is_patched(uintptr_t text_begin) noexcept;

// Those whose whole text lies in [begin, end) are gone: gives their trampolines back. Nobody can be
// in them who could go on, since they lead back to that text only.
void forget_objects(uintptr_t begin, uintptr_t end) noexcept;

// The trampoline that an address lies in; null if none. For signal handlers.
const Trampoline* trampoline_at(uintptr_t address) noexcept;

}  // namespace tendril::patch
