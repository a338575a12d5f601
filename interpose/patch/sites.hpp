// Finds the `syscall` sites of an object that can be rewritten.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/patch/code_object.hpp"
#include "interpose/patch/decoder.hpp"

namespace tendril::patch {

inline constexpr size_t kJumpSize = 5;
inline constexpr uint8_t kSyscallCode[] = {0x0f, 0x05};
inline constexpr size_t kSyscallSize = sizeof kSyscallCode;
inline constexpr size_t kMostWindow = 24;
inline constexpr size_t kMostSites = 1024;  // of one object

// A site, and the whole instructions before it that make room for a jump:
//
//   before:  | window (>= 5 bytes) | syscall |      after:  | jmp trampoline | nops | syscall |
struct Site {
  uint8_t* window = nullptr;
  uint8_t* syscall = nullptr;
  bool single = false;  // the window is one instruction: nothing can jump into it
  // Where in the window a displacement from the instruction pointer lies, counted from the end of
  // the window, which is that of its instruction too; 0 if there is none.
  size_t displacement = 0;
};

struct SiteList {
  Site sites[kMostSites];
  size_t found = 0;   // `syscall` instructions, and bytes that look like one
  size_t usable = 0;  // of these in `sites`; the others stay with the trap
};

// Reads the object's code; changes nothing, allocates only pages.
void find_sites(const CodeObject& object, const Decoder& decoder, SiteList& list) noexcept;

}  // namespace tendril::patch
