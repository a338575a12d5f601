#include "interpose/kernel/child_program.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>

#include "interpose/kernel/proc_files.hpp"
#include "runtime/platform/elf_sections.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr char kGlibcLoader[] = "ld-linux-x86-64.so.2";
constexpr int kMostInterpreters = 5;  // of scripts, as the kernel has it
constexpr int kMostSegments = 64;

struct File {
  int fd;
  ~File() {
    if (fd >= 0) rt::raw_syscall(SYS_close, fd);
  }
  bool read_at(void* to, size_t size, uint64_t offset) const noexcept {
    return rt::raw_syscall(SYS_pread64, fd, to, size, offset) == static_cast<long>(size);
  }
};

// ld.so takes no preloads in secure mode.
bool gains_privileges(const File& file) noexcept {
  struct stat status;
  if (rt::raw_syscall(SYS_fstat, file.fd, &status) != 0) return false;
  if ((status.st_mode & S_ISUID) != 0 &&
      static_cast<long>(status.st_uid) != rt::raw_syscall(SYS_geteuid)) {
    return true;
  }
  constexpr mode_t kGroup = S_ISGID | S_IXGRP;
  return (status.st_mode & kGroup) == kGroup &&
         static_cast<long>(status.st_gid) != rt::raw_syscall(SYS_getegid);
}

bool is_position_independent_program(const File& file, const Elf64_Phdr& dynamic) noexcept {
  for (uint64_t offset = 0; offset + sizeof(Elf64_Dyn) <= dynamic.p_filesz;
       offset += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    if (!file.read_at(&entry, sizeof entry, dynamic.p_offset + offset)) return false;
    if (entry.d_tag == DT_FLAGS_1) return (entry.d_un.d_val & DF_1_PIE) != 0;
  }
  return false;
}

const char* why_not_elf(const File& file, const Elf64_Ehdr& header) noexcept {
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
    return "is not a 64-bit x86-64 program";
  }
  Elf64_Phdr dynamic{};
  for (int i = 0; i < header.e_phnum && i < kMostSegments; ++i) {
    Elf64_Phdr segment;
    if (!file.read_at(&segment, sizeof segment, header.e_phoff + i * sizeof segment))
      return nullptr;
    if (segment.p_type == PT_DYNAMIC) dynamic = segment;
    if (segment.p_type != PT_INTERP) continue;
    // The name at the end of the path is what counts.
    constexpr size_t kName = sizeof kGlibcLoader;
    char name[kName];
    if (segment.p_filesz < kName ||
        !file.read_at(name, kName, segment.p_offset + segment.p_filesz - kName) ||
        std::memcmp(name, kGlibcLoader, kName) != 0) {
      return "is loaded by another C library's loader";
    }
    return rt::has_go_code(file.fd, header) ? "is a Go program" : nullptr;
  }
  if (rt::is_tendril_command(file.fd, header)) return nullptr;
  // What has no interpreter is static, unless it is a loader, called as a program.
  return header.e_type == ET_DYN && !is_position_independent_program(file, dynamic)
             ? nullptr
             : "is statically linked";
}

// The interpreter of a "#!" line, in place. Null: none.
char* interpreter(char* head, size_t size) noexcept {
  char* at = head + 2;
  char* end = head + size;
  while (at < end && (*at == ' ' || *at == '\t')) ++at;
  char* begin = at;
  while (at < end && *at != ' ' && *at != '\t' && *at != '\n' && *at != '\0') ++at;
  if (at == begin || at == end) return nullptr;
  *at = '\0';
  return begin;
}

}  // namespace

const char* why_not_green(int directory, const char* path, int flags) noexcept {
  constexpr long kOpen = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  union {
    char text[256];
    Elf64_Ehdr elf;
  } head;
  const bool by_descriptor = (flags & AT_EMPTY_PATH) != 0;
  for (int depth = 0; depth <= kMostInterpreters; ++depth) {
    // A descriptor without a path is opened anew: reads must not move its position.
    const ProcPath anew("/proc/self/fd/", directory);
    const bool no_path =
        by_descriptor && depth == 0 && rt::raw_syscall(SYS_faccessat, directory, path, F_OK) != 0;
    const char* opened = no_path ? anew.text() : path;
    const File file{static_cast<int>(rt::raw_syscall(SYS_openat, directory, opened, kOpen))};
    if (file.fd < 0) return nullptr;
    struct stat status;
    if (rt::raw_syscall(SYS_fstat, file.fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      return nullptr;
    }
    const long size = rt::raw_syscall(SYS_pread64, file.fd, head.text, sizeof head.text, 0);
    if (size >= static_cast<long>(sizeof(Elf32_Ehdr)) &&
        std::memcmp(head.text, ELFMAG, SELFMAG) == 0) {
      if (gains_privileges(file)) return "gains privileges when it is executed";
      return why_not_elf(file, head.elf);
    }
    if (size < 3 || head.text[0] != '#' || head.text[1] != '!') return nullptr;
    path = interpreter(head.text, static_cast<size_t>(size));
    directory = AT_FDCWD;
    if (path == nullptr) return nullptr;
  }
  return nullptr;
}

}  // namespace tendril::kernel
