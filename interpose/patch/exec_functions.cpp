#include "interpose/patch/exec_functions.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "interpose/kernel/child_environment.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::patch {
namespace {

// What the functions begin with, and what is written over that.
constexpr uint8_t kExecve[] = {0xb8, 0x3b, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d};
constexpr uint8_t kExecveat[] = {0x49, 0x89, 0xca, 0xb8, 0x42, 0x01, 0, 0, 0x0f, 0x05, 0x48};
constexpr uint8_t kJump[] = {0xff, 0x25, 0, 0, 0, 0};  // jmp *0(%rip), then the address
constexpr size_t kJumpSize = sizeof kJump + sizeof(void*);

// A list that does not fit takes pages, which a child on borrowed memory cannot give back.
constexpr size_t kMostOnStack = 24 * 1024;

struct Arguments {
  long number;
  int directory;
  const char* path;
  char* const* words;
  char* const* environment;
  int flags;
};

long call_kernel(const Arguments& a, char* const* environment) noexcept {
  return a.number == SYS_execve
             ? rt::raw_syscall(SYS_execve, a.path, a.words, environment)
             : rt::raw_syscall(SYS_execveat, a.directory, a.path, a.words, environment, a.flags);
}

// As program code does it: an instruction that Syscall User Dispatch looks at.
long call_as_program(const Arguments& a) noexcept {
  const bool by_path = a.number == SYS_execve;
  const auto word = [](const void* pointer) { return reinterpret_cast<long>(pointer); };
  long result;
  register long r10 asm("r10") = word(a.environment);
  register long r8 asm("r8") = a.flags;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(a.number), "D"(by_path ? word(a.path) : a.directory),
                 "S"(by_path ? word(a.words) : word(a.path)),
                 "d"(by_path ? word(a.environment) : word(a.words)), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}

__attribute__((noinline)) long exec_on_stack(const Arguments& a, const kernel::ChildPlan& plan) {
  char** list = kernel::compose_child_environment(plan, __builtin_alloca(plan.size));
  return call_kernel(a, list != nullptr ? list : a.environment);
}

long exec_on_pages(const Arguments& a, const kernel::ChildPlan& plan) noexcept {
  const size_t bytes = rt::round_up_to_page(plan.size);
  void* pages = rt::map_pages(bytes);
  char** list = pages != nullptr ? kernel::compose_child_environment(plan, pages) : nullptr;
  const long result = call_kernel(a, list != nullptr ? list : a.environment);
  if (pages != nullptr) rt::unmap_pages(pages, bytes);
  return result;
}

// Program code of a green thread is not to compose: its system call comes to sys_execve. A child on
// borrowed memory is none.
bool is_trapped() noexcept {
  if (!kernel::is_green_thread) return false;
  static_assert(offsetof(rt::Worker, vfork_child_runs) == 9);
  uint16_t both;
  asm volatile("movw %%gs:8, %0" : "=r"(both));
  return both == 1;
}

int exec(const Arguments& a) noexcept {
  kernel::ChildPlan plan;
  long result;
  if (is_trapped()) {
    result = call_as_program(a);
  } else if (!kernel::plan_child(a.directory, a.path, a.flags, a.environment, &plan)) {
    result = call_kernel(a, a.environment);
  } else {
    result = plan.size <= kMostOnStack ? exec_on_stack(a, plan) : exec_on_pages(a, plan);
  }
  errno = static_cast<int>(-result);
  return -1;
}

int our_execve(const char* path, char* const* words, char* const* environment) noexcept {
  return exec({SYS_execve, AT_FDCWD, path, words, environment, 0});
}

int our_execveat(int directory, const char* path, char* const* words, char* const* environment,
                 int flags) noexcept {
  return exec({SYS_execveat, directory, path, words, environment, flags});
}

int our_fexecve(int fd, char* const* words, char* const* environment) noexcept {
  if (fd < 0 || words == nullptr || environment == nullptr) {
    errno = EINVAL;
    return -1;
  }
  return our_execveat(fd, "", words, environment, AT_EMPTY_PATH);
}

// Nobody jumps into the middle of a function but itself: it is replaced as a whole. Its size is
// known by the C library's alignment of functions: looking its symbol up by address would walk all
// of them, in every process.
uint8_t* find(const char* name, const uint8_t* beginning, size_t size) noexcept {
  constexpr uintptr_t kAlignment = 16;
  static_assert(kJumpSize <= kAlignment);
  auto* function = static_cast<uint8_t*>(dlsym(RTLD_NEXT, name));
  const bool known = function != nullptr &&
                     (reinterpret_cast<uintptr_t>(function) & (kAlignment - 1)) == 0 &&
                     std::memcmp(function, beginning, size) == 0;
  return known ? function : nullptr;
}

void write_jump(uint8_t* function, const void* ours) noexcept {
  volatile uint8_t* to = function;
  for (const uint8_t byte : kJump) *to++ = byte;
  const auto address = reinterpret_cast<uintptr_t>(ours);
  for (size_t i = 0; i < sizeof address; ++i) *to++ = static_cast<uint8_t>(address >> 8 * i);
}

struct Replacement {
  uint8_t* function;
  const void* ours;
};

// All at once, since changing the protection costs more than all the rest. Without a call of libc,
// whose pages are not executable meanwhile.
bool replace(const Replacement (&all)[3]) noexcept {
  const auto address = [](const Replacement& one) {
    return reinterpret_cast<uintptr_t>(one.function);
  };
  uintptr_t first = address(all[0]);
  uintptr_t last = first;
  for (const Replacement& one : all) {
    first = address(one) < first ? address(one) : first;
    last = address(one) > last ? address(one) : last;
  }
  first &= ~(rt::kPageSize - 1);
  const size_t length = last + kJumpSize - first;
  if (rt::raw_syscall(SYS_mprotect, first, length, PROT_READ | PROT_WRITE) != 0) return false;
  for (const Replacement& one : all) write_jump(one.function, one.ours);
  // Nothing can go on until libc is executable again; a want of memory passes.
  for (long result;
       (result = rt::raw_syscall(SYS_mprotect, first, length, PROT_READ | PROT_EXEC)) != 0;) {
    if (result != -ENOMEM) rt::raw_syscall(SYS_exit_group, 126);
    rt::raw_syscall(SYS_sched_yield);
  }
  return true;
}

}  // namespace

bool replace_exec_functions() noexcept {
  uint8_t* execve = find("execve", kExecve, sizeof kExecve);
  uint8_t* execveat = find("execveat", kExecveat, sizeof kExecveat);
  uint8_t* fexecve = find("fexecve", nullptr, 0);  // makes its system call itself
  if (execve == nullptr || execveat == nullptr || fexecve == nullptr) return false;
  return replace({{execve, reinterpret_cast<const void*>(&our_execve)},
                  {execveat, reinterpret_cast<const void*>(&our_execveat)},
                  {fexecve, reinterpret_cast<const void*>(&our_fexecve)}});
}

}  // namespace tendril::patch
