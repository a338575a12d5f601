#include "tests/command/crafted_elf.hpp"

#include <cstring>
#include <type_traits>

namespace tendril::test {
namespace {

template <typename T>
void append(std::string& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Header, typename Segment, typename Section>
std::string craft(const ElfShape& shape) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = static_cast<unsigned char>(shape.elf_class);
  header.e_ident[EI_DATA] = static_cast<unsigned char>(shape.data);
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = static_cast<Elf64_Half>(shape.type);
  header.e_machine = static_cast<Elf64_Half>(shape.machine);
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Header);
  header.e_phentsize = sizeof(Segment);
  header.e_phoff = sizeof(Header);
  header.e_phnum = shape.loader.empty() ? 1 : 2;

  Segment load{};
  load.p_type = PT_LOAD;
  load.p_flags = PF_R;
  Segment interpreter{};
  interpreter.p_type = PT_INTERP;
  interpreter.p_offset = sizeof(Header) + header.e_phnum * sizeof(Segment);
  interpreter.p_filesz = shape.loader.size() + 1;

  std::string rest;
  if (!shape.loader.empty()) {
    append(rest, interpreter);
    rest += shape.loader + '\0';
  }
  if (!shape.section.empty()) {
    header.e_shoff = sizeof(Header) + sizeof(Segment) + rest.size();
    header.e_shentsize = sizeof(Section);
    header.e_shnum = 1;
    Section names{};
    names.sh_type = SHT_STRTAB;
    names.sh_offset = header.e_shoff + sizeof(Section);
    names.sh_size = shape.section.size() + 1;
    append(rest, names);
    rest += shape.section + '\0';
  }
  std::string bytes;
  append(bytes, header);
  append(bytes, load);
  return bytes + rest;
}

}  // namespace

std::string crafted_elf(const ElfShape& shape) {
  return shape.elf_class == ELFCLASS32 ? craft<Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr>(shape)
                                       : craft<Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr>(shape);
}

}  // namespace tendril::test
