#include "interpose/command/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <vector>

#include "interpose/command/file.hpp"
#include "interpose/command/path.hpp"
#include "interpose/command/refusal.hpp"
#include "runtime/platform/elf_sections.hpp"

namespace tendril::command {
namespace {

constexpr std::string_view kGlibcLoader = "ld-linux-x86-64.so.2";

std::string machine_name(unsigned machine) {
  switch (machine) {
    case EM_AARCH64:
      return "AArch64";
    case EM_ARM:
      return "ARM";
    case EM_386:
      return "i386";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC64";
    case EM_S390:
      return "S/390";
    case EM_MIPS:
      return "MIPS";
    default:
      return "machine number " + std::to_string(machine);
  }
}

// Empty if the header is that of a 64-bit x86-64 file, else what it is instead.
std::string header_defect(const Elf64_Ehdr& header) {
  // The fields read here lie at the same offsets in both classes.
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) return "is built for a big-endian machine";
  if (header.e_machine == EM_X86_64 && header.e_ident[EI_CLASS] == ELFCLASS32)
    return "is a 32-bit program (x32)";
  if (header.e_ident[EI_CLASS] == ELFCLASS32)
    return "is a 32-bit program (" + machine_name(header.e_machine) + ")";
  if (header.e_machine != EM_X86_64)
    return "is built for another machine (" + machine_name(header.e_machine) + ")";
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return "is a damaged ELF file";
  return {};
}

std::optional<Elf64_Ehdr> read_header(int fd) {
  Elf64_Ehdr header{};
  ssize_t size = ::pread(fd, &header, sizeof header, 0);
  // A 32-bit header is shorter, and may be the whole file.
  if (size < static_cast<ssize_t>(sizeof(Elf32_Ehdr))) return std::nullopt;
  if (header.e_ident[EI_CLASS] == ELFCLASS64 && size < static_cast<ssize_t>(sizeof header))
    return std::nullopt;
  return header;
}

// The string of PT_INTERP; null if there is no such segment. Throws for a table out of bounds, as
// the kernel would with ENOEXEC.
std::optional<std::string> interpreter_string(int fd, const Elf64_Ehdr& header,
                                              const Refusal& damaged) {
  if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr)) throw damaged;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  auto bytes = static_cast<ssize_t>(segments.size() * sizeof(Elf64_Phdr));
  if (::pread(fd, segments.data(), bytes, static_cast<off_t>(header.e_phoff)) != bytes)
    throw damaged;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz < 2 || segment.p_filesz > PATH_MAX) throw damaged;
    std::string path(segment.p_filesz, '\0');
    ssize_t size = ::pread(fd, path.data(), path.size(), static_cast<off_t>(segment.p_offset));
    if (size != static_cast<ssize_t>(path.size()) || path.back() != '\0') throw damaged;
    return std::string(path.c_str());
  }
  return std::nullopt;
}

bool is_loader_itself(int fd) {
  return file_name(link_target("/proc/self/fd/" + std::to_string(fd))) == kGlibcLoader;
}

}  // namespace

bool is_elf(std::string_view head) { return head.starts_with(std::string_view(ELFMAG, SELFMAG)); }

std::string dynamic_loader(int fd, const std::string& subject) {
  const Refusal damaged(kCannotRunStatus,
                        subject + ": is a damaged ELF file; rebuild or reinstall it");
  std::optional<Elf64_Ehdr> header = read_header(fd);
  if (!header) throw damaged;
  if (std::string defect = header_defect(*header); !defect.empty())
    throw Refusal(kCannotRunStatus,
                  subject + ": " + defect + "; tendril runs 64-bit x86-64 programs only");
  if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
    throw Refusal(kCannotRunStatus,
                  subject + ": is an ELF file, but not a program; name the linked program");

  std::optional<std::string> loader = interpreter_string(fd, *header, damaged);
  if (!loader && rt::is_tendril_command(fd, *header)) return {};
  if (!loader && is_loader_itself(fd))
    throw Refusal(kCannotRunStatus,
                  subject + ": is the dynamic loader; name the program that it would load");
  if (!loader)
    throw Refusal(kCannotRunStatus, subject +
                                        ": is statically linked, so the shim cannot be loaded "
                                        "into it; link it dynamically, or run it without tendril");
  if (file_name(*loader) != kGlibcLoader)
    throw Refusal(kCannotRunStatus, subject + ": is loaded by " + *loader +
                                        ", which is not glibc's; build it for glibc, or run it "
                                        "without tendril");
  if (::access(loader->c_str(), F_OK) != 0)
    throw Refusal(kNotFoundStatus, subject + ": needs the loader " + *loader + " (" +
                                       std::strerror(errno) + "); install it");
  if (rt::has_go_code(fd, *header))
    throw Refusal(kCannotRunStatus,
                  subject +
                      ": is a Go program, whose stacks are too small for the signal frames "
                      "that tendril needs (goroutines are green already); run it without "
                      "tendril");
  return *loader;
}

std::string shared_object_defect(const std::string& path) {
  File file = File::open(path);
  if (!file) return std::string("cannot be opened (") + std::strerror(errno) + ")";
  if (!is_elf(file.head(SELFMAG))) return "is not a shared library";
  std::optional<Elf64_Ehdr> header = read_header(file.fd());
  if (!header) return "is a damaged ELF file";
  if (std::string defect = header_defect(*header); !defect.empty()) return defect;
  return header->e_type == ET_DYN ? std::string() : "is not a shared library";
}

}  // namespace tendril::command
