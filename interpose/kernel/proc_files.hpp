// What /proc tells of this process and its descriptors. Raw system calls only, and little stack.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// A path of /proc that ends in a number, or the beginning of one.
class ProcPath {
 public:
  ProcPath(const char* directory, int number) noexcept {
    char digits[12];
    int count = 0;
    for (unsigned rest = static_cast<unsigned>(number); count == 0 || rest > 0; rest /= 10) {
      digits[count++] = static_cast<char>('0' + rest % 10);
    }
    char* at = stpcpy(text_, directory);
    while (count > 0) *at++ = digits[--count];
    *at = '\0';
  }
  const char* text() const noexcept { return text_; }

 private:
  char text_[40];
};

// What is behind a link of /proc, cut where there is no more room; its length, or 0.
template <size_t kSize>
size_t read_link(const char* path, char (&text)[kSize]) noexcept {
  const long size = rt::raw_syscall(SYS_readlink, path, text, kSize - 1);
  if (size <= 0) return 0;
  text[size] = '\0';
  return static_cast<size_t>(size);
}

// The number of a field ("\nPid:\t") near the beginning of a file of /proc. Negative if there is
// none, or the file cannot be read.
inline long number_in_file(const char* path, const char* field) noexcept {
  const long file = rt::raw_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return file;
  char text[512];
  const long size = rt::raw_syscall(SYS_read, file, text, sizeof text - 1);
  rt::raw_syscall(SYS_close, file);
  text[size > 0 ? size : 0] = '\0';
  const char* digit = std::strstr(text, field);
  if (digit == nullptr) return -1;
  digit += std::strlen(field);
  if (*digit < '0' || *digit > '9') return -1;
  long number = 0;
  for (; *digit >= '0' && *digit <= '9'; ++digit) number = number * 10 + (*digit - '0');
  return number;
}

// Whether this is what /proc calls the file of the descriptor.
template <size_t kSize>
bool is_file_named(int fd, const char (&name)[kSize]) noexcept {
  char link[kSize + 1];  // one more than the name, to see that it ends there
  return read_link(ProcPath("/proc/self/fd/", fd).text(), link) != 0 &&
         std::strcmp(link, name) == 0;
}

// The process's descriptors, without the one that this takes itself. False, and nothing visited, if
// they cannot be had.
template <typename Visit>
bool for_each_own_descriptor(Visit&& visit) noexcept {
  struct Entry {  // struct linux_dirent64
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[1];
  };
  const long directory =
      rt::raw_syscall(SYS_open, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  alignas(Entry) char buffer[1024];
  long got;
  while ((got = rt::raw_syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      int fd = 0;
      const char* digit = entry->name;
      for (; *digit >= '0' && *digit <= '9'; ++digit) fd = fd * 10 + (*digit - '0');
      if (*digit == '\0' && fd != directory) visit(fd);
    }
  }
  rt::raw_syscall(SYS_close, directory);
  return true;
}

}  // namespace tendril::kernel
