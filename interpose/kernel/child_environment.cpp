#include "interpose/kernel/child_environment.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/child_program.hpp"
#include "interpose/kernel/report.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

// In the tendril command, which reads TENDRIL_* itself and makes the environment of what it starts.
extern "C" const char tendril_command_marker __attribute__((weak));

namespace tendril::kernel {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kTunables[] = "GLIBC_TUNABLES=";
constexpr char kSetting[] = "TENDRIL_";
constexpr char kRseq[] = "glibc.pthread.rseq=0";
// Added so that the number of entries that are taken out is even (see close_gap).
constexpr char kEven[] = "TENDRIL_EVEN=1";
constexpr char kLibraryStem[] = "libtendril-interpose.so";
constexpr size_t kMostSettings = 32;
constexpr size_t kPrefix = 24;  // bytes of an entry that tell which variable it is
constexpr size_t kPage = 4096;

struct Taken {
  bool children_are_green = false;
  bool has_rseq = false;
  const char* shim = nullptr;  // as it stood in LD_PRELOAD
  size_t shim_length = 0;
  const char* settings[kMostSettings] = {};
  size_t setting_count = 0;
  // Programs write over the original strings (setproctitle).
  char storage[4096] = {};
  size_t used = 0;
};
constinit Taken taken;

template <size_t N>
bool begins(const char* text, const char (&prefix)[N]) noexcept {
  return std::strncmp(text, prefix, N - 1) == 0;
}

const char* keep(const char* text, size_t length) noexcept {
  if (taken.used + length + 1 > sizeof taken.storage) {
    auto* pages = static_cast<char*>(rt::map_pages(rt::round_up_to_page(length + 1)));
    if (pages == nullptr) return nullptr;
    std::memcpy(pages, text, length);
    return pages;
  }
  char* copy = taken.storage + taken.used;
  std::memcpy(copy, text, length);
  copy[length] = '\0';
  taken.used += length + 1;
  return copy;
}

bool is_separator(char c) noexcept { return c == ':' || c == ' '; }

// Calls visit(begin, length) for the parts of an LD_PRELOAD list until it returns true.
template <typename Visit>
bool any_library(const char* list, Visit&& visit) noexcept {
  while (*list != '\0') {
    while (is_separator(*list)) ++list;
    const char* begin = list;
    while (*list != '\0' && !is_separator(*list)) ++list;
    const auto length = static_cast<size_t>(list - begin);
    if (length > 0 && visit(begin, length)) return true;
  }
  return false;
}

bool is_shim(const char* name, size_t length) noexcept {
  const char* base = name;
  for (size_t i = 0; i < length; ++i) {
    if (name[i] == '/') base = name + i + 1;
  }
  return static_cast<size_t>(name + length - base) >= sizeof kLibraryStem - 1 &&
         begins(base, kLibraryStem);
}

// Takes the shim out of "LD_PRELOAD=…", in place. Returns whether anything is left.
bool take_shim(char* entry) noexcept {
  char* list = entry + sizeof kPreload - 1;
  any_library(list, [](const char* begin, size_t length) {
    if (!is_shim(begin, length)) return false;
    taken.shim = keep(begin, length);
    taken.shim_length = length;
    return taken.shim != nullptr;
  });
  if (taken.shim == nullptr) return true;
  char* begin = std::strstr(list, taken.shim);
  char* rest = begin + taken.shim_length;
  while (is_separator(*rest)) ++rest;
  std::memmove(begin, rest, std::strlen(rest) + 1);
  while (begin > list && begin[0] == '\0' && is_separator(begin[-1])) *--begin = '\0';
  return *list != '\0';
}

// As take_shim. The command puts its tunable last.
bool take_rseq(char* entry) noexcept {
  char* list = entry + sizeof kTunables - 1;
  const size_t length = std::strlen(list);
  constexpr size_t kLength = sizeof kRseq - 1;
  if (length < kLength || std::strcmp(list + length - kLength, kRseq) != 0) return true;
  if (length > kLength && list[length - kLength - 1] != ':') return true;
  taken.has_rseq = true;
  list[length > kLength ? length - kLength - 1 : 0] = '\0';
  return *list != '\0';
}

size_t name_length(const char* entry) noexcept {
  const char* end = std::strchr(entry, '=');
  return end != nullptr ? static_cast<size_t>(end - entry) + 1 : std::strlen(entry);
}

// Bytes from here to the end of the page.
size_t room_in_page(const void* at) noexcept {
  return kPage - (reinterpret_cast<uintptr_t>(at) & (kPage - 1));
}

// The list ends at `end` now, and before it did further up, where the auxiliary vector begins. Some
// runtimes (Go's) find that behind the list: let there be entries to be ignored in between.
void close_gap(char** end, char** old_end) noexcept {
  *end++ = nullptr;
  for (; end + 1 <= old_end; end += 2) {
    end[0] = reinterpret_cast<char*>(uintptr_t{AT_IGNORE});
    end[1] = nullptr;
  }
}

}  // namespace

bool read_carefully(void* to, const void* from, size_t bytes) noexcept {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  while (bytes > 0) {
    const size_t room = room_in_page(source);
    const size_t part = bytes < room ? bytes : room;
    const iovec local{target, part};
    const iovec remote{const_cast<char*>(source), part};
    const long result = rt::raw_syscall(SYS_process_vm_readv, rt::raw_syscall(SYS_getpid), &local,
                                        1, &remote, 1, 0);
    if (result == -ENOSYS || result == -EPERM) {
      std::memcpy(target, source, part);  // a sandbox: a bad pointer is the program's own crash
    } else if (result != static_cast<long>(part)) {
      return false;
    }
    target += part;
    source += part;
    bytes -= part;
  }
  return true;
}

namespace {

// The length of a string with its NUL; 0: it cannot be read.
size_t string_size(const char* text) noexcept {
  size_t size = 0;
  for (;;) {
    char piece[128];
    const size_t room = room_in_page(text + size);
    const size_t part = room < sizeof piece ? room : sizeof piece;
    if (!read_carefully(piece, text + size, part)) return 0;
    if (const void* end = std::memchr(piece, '\0', part); end != nullptr) {
      return size + static_cast<size_t>(static_cast<const char*>(end) - piece) + 1;
    }
    size += part;
  }
}

// The first bytes of a string, as many as there are up to kPrefix, NUL-terminated.
bool read_prefix(char (&prefix)[kPrefix + 1], const char* text) noexcept {
  size_t done = 0;
  while (done < kPrefix) {
    const size_t room = room_in_page(text + done);
    const size_t part = room < kPrefix - done ? room : kPrefix - done;
    if (!read_carefully(prefix + done, text + done, part)) return false;
    if (std::memchr(prefix + done, '\0', part) != nullptr) return true;
    done += part;
  }
  prefix[kPrefix] = '\0';
  return true;
}

constexpr size_t kBatch = 16;

// As read_prefix for several at once: one call unless one of them lies at the end of a page.
bool read_prefixes(char (&prefixes)[kBatch][kPrefix + 1], const char* const* texts,
                   size_t count) noexcept {
  iovec remote[kBatch];
  char bytes[kBatch][kPrefix];
  bool together = true;
  for (size_t i = 0; i < count; ++i) {
    remote[i] = {const_cast<char*>(texts[i]), kPrefix};
    together &= room_in_page(texts[i]) >= kPrefix;
  }
  const iovec local{bytes, count * kPrefix};
  if (together && rt::raw_syscall(SYS_process_vm_readv, rt::raw_syscall(SYS_getpid), &local, 1,
                                  remote, count, 0) == static_cast<long>(count * kPrefix)) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(prefixes[i], bytes[i], kPrefix);
      prefixes[i][kPrefix] = '\0';
    }
    return true;
  }
  for (size_t i = 0; i < count; ++i) {
    if (!read_prefix(prefixes[i], texts[i])) return false;
  }
  return true;
}

bool look_at_entry(const char* entry, const char* prefix, ChildPlan* plan) noexcept {
  if (begins(prefix, kPreload) && plan->preload == nullptr) {
    plan->preload = entry;
    plan->preload_length = string_size(entry);
    return plan->preload_length != 0;
  }
  if (begins(prefix, kTunables) && plan->tunables == nullptr) {
    plan->tunables = entry;
    plan->tunables_length = string_size(entry);
    return plan->tunables_length != 0;
  }
  if (!begins(prefix, kSetting)) return true;
  ++plan->setting_count;
  for (size_t i = 0; i < taken.setting_count; ++i) {
    if (std::strncmp(prefix, taken.settings[i], name_length(taken.settings[i])) == 0) {
      plan->own_settings |= uint32_t{1} << i;
    }
  }
  return true;
}

bool look_at_list(char* const* list, ChildPlan* plan) noexcept {
  for (;;) {
    const char* entries[kBatch];
    size_t there = room_in_page(list + plan->count) / sizeof entries[0];
    if (there == 0) there = 1;  // not aligned; the careful read goes by pages
    if (there > kBatch) there = kBatch;
    if (!read_carefully(entries, list + plan->count, there * sizeof entries[0])) return false;
    size_t count = 0;
    while (count < there && entries[count] != nullptr) ++count;
    char prefixes[kBatch][kPrefix + 1];
    if (count > 0 && !read_prefixes(prefixes, entries, count)) return false;
    for (size_t i = 0; i < count; ++i) {
      if (!look_at_entry(entries[i], prefixes[i], plan)) return false;
    }
    plan->count += count;
    if (count < there) return true;
  }
}

bool is_verbose() noexcept {
  const char* value = tendril_variable("VERBOSE");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

bool plan_list(char* const* list, ChildPlan* plan) noexcept {
  plan->list = list;
  if (list != nullptr && !look_at_list(list, plan)) return false;
  plan->size = (plan->count + 4 + taken.setting_count) * sizeof(char*) + plan->preload_length +
               sizeof kPreload + taken.shim_length + 1 + plan->tunables_length + sizeof kTunables +
               sizeof kRseq + 1;
  return true;
}

}  // namespace

bool is_preloaded(char* const* environment) noexcept {
  if (environment == nullptr || &tendril_command_marker != nullptr) return false;
  for (char* const* at = environment; *at != nullptr; ++at) {
    if (begins(*at, kPreload) && any_library(*at + sizeof kPreload - 1, is_shim)) return true;
  }
  return false;
}

void take_environment(char** environment) noexcept {
  char** kept = environment;
  char** at = environment;
  for (; *at != nullptr; ++at) {
    char* entry = *at;
    if (begins(entry, kEven)) continue;
    if (begins(entry, kSetting)) {
      const char* copy =
          taken.setting_count < kMostSettings ? keep(entry, std::strlen(entry)) : nullptr;
      if (copy != nullptr) {
        taken.settings[taken.setting_count++] = copy;
        continue;
      }
    }
    if (begins(entry, kPreload) && taken.shim == nullptr && !take_shim(entry)) continue;
    if (begins(entry, kTunables) && !take_rseq(entry)) continue;
    *kept++ = entry;
  }
  if (kept != at) close_gap(kept, at);
  const char* children = tendril_variable("CHILDREN");
  taken.children_are_green =
      taken.shim != nullptr && (children == nullptr || std::strcmp(children, "0") != 0);
}

const char* tendril_variable(const char* name) noexcept {
  const size_t length = std::strlen(name);
  const auto value_in = [&](const char* entry) noexcept -> const char* {
    const char* rest = entry + sizeof kSetting - 1;
    return std::strncmp(rest, name, length) == 0 && rest[length] == '=' ? rest + length + 1
                                                                        : nullptr;
  };
  for (size_t i = 0; i < taken.setting_count; ++i) {
    if (const char* value = value_in(taken.settings[i]); value != nullptr) return value;
  }
  if (environ == nullptr) return nullptr;
  for (char** at = environ; *at != nullptr; ++at) {
    if (!begins(*at, kSetting)) continue;
    if (const char* value = value_in(*at); value != nullptr) return value;
  }
  return nullptr;
}

bool plan_child(int directory, const char* path, int flags, char* const* list,
                ChildPlan* plan) noexcept {
  if (!taken.children_are_green) return false;
  if (const char* reason = why_not_green(directory, path, flags); reason != nullptr) {
    if (is_verbose())
      Report().text("tendril: ").text(path).text(": ").text(reason).text("; it runs native").send();
    return false;
  }
  if (!plan_list(list, plan)) return false;
  if (plan->preload == nullptr) return true;
  // A list that a hook of ours has made already begins with the shim.
  char value[1024];
  const size_t size = plan->preload_length < sizeof value ? plan->preload_length : sizeof value;
  if (!read_carefully(value, plan->preload, size)) return false;
  value[size - 1] = '\0';
  return !any_library(value + sizeof kPreload - 1, is_shim);
}

char** compose_child_environment(const ChildPlan& plan, void* memory) noexcept {
  auto** list = static_cast<char**>(memory);
  auto* text = reinterpret_cast<char*>(list + plan.count + 4 + taken.setting_count);
  size_t count = 0;
  size_t hidden = 0;
  const auto put_own = [&](const char* from, size_t size) noexcept {
    std::memcpy(text, from, size);
    text += size;
  };
  const auto put = [&](const char* from, size_t size) noexcept {
    const bool there = read_carefully(text, from, size);
    text += size;
    return there;
  };
  char* preload = text;
  constexpr size_t kPreloadName = sizeof kPreload - 1;
  put_own(kPreload, kPreloadName);
  put_own(taken.shim, taken.shim_length);
  *text++ = '\0';
  if (plan.preload != nullptr && plan.preload_length > sizeof kPreload) {
    text[-1] = ':';
    if (!put(plan.preload + kPreloadName, plan.preload_length - kPreloadName)) return nullptr;
    text[-1] = '\0';
  }
  char* tunables = text;
  if (plan.tunables != nullptr && plan.tunables_length > sizeof kTunables) {
    if (!put(plan.tunables, plan.tunables_length)) return nullptr;
    text[-1] = ':';
  } else {
    put_own(kTunables, sizeof kTunables - 1);
  }
  put_own(kRseq, sizeof kRseq);
  // What the caller has set keeps its place.
  if (!read_carefully(list, plan.list, plan.count * sizeof *list)) return nullptr;
  for (; count < plan.count; ++count) {
    char*& entry = list[count];
    if (entry == nullptr) return nullptr;
    if (entry == plan.preload) entry = preload;
    if (entry == plan.tunables && taken.has_rseq) entry = tunables;
  }
  if (plan.preload == nullptr || plan.preload_length <= sizeof kPreload) ++hidden;
  if (plan.preload == nullptr) list[count++] = preload;
  if (taken.has_rseq) {
    if (plan.tunables == nullptr || plan.tunables_length <= sizeof kTunables) ++hidden;
    if (plan.tunables == nullptr) list[count++] = tunables;
  }
  for (size_t i = 0; i < taken.setting_count; ++i) {
    if ((plan.own_settings >> i & 1) == 0) {
      list[count++] = const_cast<char*>(taken.settings[i]);
      ++hidden;
    }
  }
  if ((hidden + plan.setting_count) % 2 != 0) list[count++] = const_cast<char*>(kEven);
  list[count] = nullptr;
  return list;
}

}  // namespace tendril::kernel
