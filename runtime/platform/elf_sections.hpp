// The sections of an ELF file, by name. Raw system calls only, and little stack.
#pragma once

#include <elf.h>

#include <cstring>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

// Whether the bytes of the text, its end included, lie in that part of a file.
template <size_t kSize>
bool has_text(int fd, uint64_t begin, uint64_t size, const char (&text)[kSize]) noexcept {
  char bytes[512];
  static_assert(kSize < sizeof bytes);
  for (uint64_t done = 0; done + kSize <= size; done += sizeof bytes - (kSize - 1)) {
    const uint64_t rest = size - done;
    const size_t wanted = rest < sizeof bytes ? rest : sizeof bytes;
    const long got = raw_syscall(SYS_pread64, fd, bytes, wanted, begin + done);
    if (got != static_cast<long>(wanted)) return false;
    if (memmem(bytes, wanted, text, kSize) != nullptr) return true;
  }
  return false;
}

// False, too, if the table of sections cannot be read: a program needs none to run.
template <size_t kSize>
bool has_elf_section(int fd, const Elf64_Ehdr& header, const char (&name)[kSize]) noexcept {
  const auto read_at = [fd](void* to, size_t size, uint64_t offset) {
    return raw_syscall(SYS_pread64, fd, to, size, offset) == static_cast<long>(size);
  };
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) return false;
  Elf64_Shdr section;
  const auto read_section = [&](unsigned index) {
    return read_at(&section, sizeof section, header.e_shoff + index * sizeof section);
  };
  if (!read_section(header.e_shstrndx)) return false;
  const uint64_t names = section.sh_offset;
  // Few files have one: two reads or three say so, where the walk below makes two for each section.
  if (!has_text(fd, names, section.sh_size, name)) return false;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    char text[kSize];
    if (!read_section(i)) return false;
    if (section.sh_type != SHT_NULL && read_at(text, kSize, names + section.sh_name) &&
        std::memcmp(text, name, kSize) == 0) {
      return true;
    }
  }
  return false;
}

// Goroutines run on stacks of their own, 2 KB at first: a signal frame does not fit on them, and
// Go gives every handler of its own an alternate stack. The compiler leaves this section in all
// that it links.
inline bool has_go_code(int fd, const Elf64_Ehdr& header) noexcept {
  return has_elf_section(fd, header, ".go.buildinfo");
}

// The command is static, but takes a preloaded shim and TENDRIL_* for what it starts. It has this
// note.
inline bool is_tendril_command(int fd, const Elf64_Ehdr& header) noexcept {
  return has_elf_section(fd, header, ".note.tendril");
}

}  // namespace tendril::rt
