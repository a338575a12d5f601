#include "runtime/sync/spawning_stack.hpp"

#include <execinfo.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tendril/fiber.hpp"
#include "tendril/hub.hpp"

namespace tendril {
namespace detail {

constinit std::atomic<size_t> spawning_stack_limit{0};

namespace {
constexpr size_t kMostFrames = 64;
constexpr size_t kMostOurs = 4;  // backtrace's own, a sanitizer's, this function's, start_task's
}  // namespace

__attribute__((noinline)) SpawningStack* remember_spawning_stack(size_t limit) {
  void* frames[kMostFrames + kMostOurs];
  const size_t wanted = std::min(limit, kMostFrames);
  const int seen = backtrace(frames, static_cast<int>(wanted + kMostOurs));
  // We return into start_task; whoever called that is the first of interest.
  void** const end = frames + seen;
  void** first = std::find(frames, end, __builtin_return_address(0));
  if (first != end) ++first;
  const size_t count = std::min(static_cast<size_t>(end - first), wanted);
  auto* stack = static_cast<SpawningStack*>(
      ::operator new(offsetof(SpawningStack, frames) + count * sizeof(void*)));
  stack->count = static_cast<int>(count);
  std::memcpy(stack->frames, first, count * sizeof(void*));
  return stack;
}

void forget_spawning_stack(SpawningStack* stack) noexcept { ::operator delete(stack); }

std::vector<std::string> spawning_stack_of_task(const Task* task) {
  std::vector<std::string> stack;
  if (task->spawning_stack == nullptr) return stack;
  char** names = backtrace_symbols(task->spawning_stack->frames, task->spawning_stack->count);
  if (names == nullptr) throw std::bad_alloc();
  try {
    stack.assign(names, names + task->spawning_stack->count);
  } catch (...) {
    std::free(names);
    throw;
  }
  std::free(names);
  return stack;
}

}  // namespace detail

size_t set_spawning_stack_limit(size_t frames) noexcept {
  return detail::spawning_stack_limit.exchange(frames, std::memory_order_relaxed);
}

}  // namespace tendril
