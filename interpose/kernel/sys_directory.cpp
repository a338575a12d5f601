// getdents(2), getdents64(2): the Linux kernel's, but the list of this process's descriptors in
// /proc is without the runtime's own, which all calls hide that take a descriptor.
#include <sys/statfs.h>

#include <climits>
#include <cstring>

#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// struct linux_dirent and linux_dirent64: the same but for where the name begins.
constexpr size_t kLengthAt = 16;
constexpr size_t kNameAt = 18;
constexpr size_t kNameAt64 = 19;

constexpr size_t kMostDigits = 10;

size_t count_digits(const char* text) noexcept {
  size_t count = 0;
  while (text[count] >= '0' && text[count] <= '9') ++count;
  return count;
}

// Cuts the last part of the path off and returns it; null if there is none.
const char* cut_last(char* path) noexcept {
  char* slash = std::strrchr(path, '/');
  if (slash == nullptr) return nullptr;
  *slash = '\0';
  return slash + 1;
}

bool is_number(const char* text) noexcept {
  return *text != '\0' && text[count_digits(text)] == '\0';
}

// "…/PID/fd", "…/PID/task/TID/fd" or the same with fdinfo, and the PID is that of this process
// there.
bool is_own_list(char* path) noexcept {
  const char* list = cut_last(path);
  if (list == nullptr || (std::strcmp(list, "fd") != 0 && std::strcmp(list, "fdinfo") != 0)) {
    return false;
  }
  const char* owner = cut_last(path);
  const char* slash = std::strrchr(path, '/');
  if (owner != nullptr && is_number(owner) && slash != nullptr &&
      std::strcmp(slash, "/task") == 0) {
    cut_last(path);
    owner = cut_last(path);
  }
  char own[16];
  return owner != nullptr && read_link("/proc/self", own) != 0 && std::strcmp(owner, own) == 0;
}

bool lists_own_descriptors(int directory) noexcept {
  constexpr long kProc = 0x9fa0;  // PROC_SUPER_MAGIC
  struct statfs where;
  if (rt::raw_syscall(SYS_fstatfs, directory, &where) != 0 || where.f_type != kProc) return false;
  char path[256];
  return read_link(ProcPath("/proc/self/fd/", directory).text(), path) != 0 && is_own_list(path);
}

// The number that the name is; -1: it is "." or ".."; -2: it is something else.
long number_of(const char* name) noexcept {
  if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) return -1;
  const size_t digits = count_digits(name);
  if (digits == 0 || digits > kMostDigits || name[digits] != '\0') return -2;
  long number = 0;
  for (size_t i = 0; i < digits; ++i) number = number * 10 + (name[i] - '0');
  return number;
}

// The size that is left, 0 if nothing is, or -EFAULT. In a list of descriptors all names are
// numbers: of any other directory a few entries are looked at.
long without_hidden(int directory, char* entries, long size, size_t name_at) noexcept {
  bool is_list = false;
  for (long at = 0; at < size;) {
    uint16_t length;
    char name[kMostDigits + 2] = {};
    if (copy_in(&length, entries + at + kLengthAt) != 0) return -EFAULT;
    if (length <= name_at || length > size - at) return size;
    const size_t room = length - name_at;
    const size_t shown = room < sizeof name - 1 ? room : sizeof name - 1;
    if (copy_in_bytes(name, entries + at + name_at, shown) != 0) return -EFAULT;
    const long number = number_of(name);
    if (number < -1) return size;
    if (number < 0 || number > INT_MAX || !rt::is_hidden_descriptor(static_cast<int>(number))) {
      at += length;
      continue;
    }
    if (!is_list && !lists_own_descriptors(directory)) return size;
    is_list = true;
    const auto rest = static_cast<size_t>(size - at - length);
    if (copy_out_bytes(entries + at, entries + at + length, rest) != 0) return -EFAULT;
    size -= length;
  }
  return size;
}

// Nothing left means that there is more to read: 0 would be the end.
long read_directory(const Call& call, size_t name_at) noexcept {
  const long* a = call.arguments;
  for (;;) {
    const long size = pass(call);
    if (size <= 0) return size;
    const long left =
        without_hidden(static_cast<int>(a[0]), reinterpret_cast<char*>(a[1]), size, name_at);
    if (left != 0) return left;
  }
}

}  // namespace

long sys_getdents(Call& call) { return read_directory(call, kNameAt); }

long sys_getdents64(Call& call) { return read_directory(call, kNameAt64); }

}  // namespace tendril::kernel
