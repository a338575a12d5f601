// ELF files that no compiler here would make.
#pragma once

#include <elf.h>

#include <string>

namespace tendril::test {

struct ElfShape {
  unsigned elf_class = ELFCLASS64;
  unsigned data = ELFDATA2LSB;
  unsigned machine = EM_X86_64;
  unsigned type = ET_DYN;
  std::string loader = {};   // of PT_INTERP; empty: there is none
  std::string section = {};  // the name of one, that of the names; empty: there is none
};

// A header, a PT_LOAD and perhaps a PT_INTERP: enough to be looked at, not to run.
std::string crafted_elf(const ElfShape& shape);

inline constexpr char kGlibcLoader[] = "/lib64/ld-linux-x86-64.so.2";

}  // namespace tendril::test
