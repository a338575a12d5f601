// Where the API's fibers come from, and how those of one OS thread end with it.
#include <bit>

#include "runtime/hub/process.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/task_list.hpp"
#include "tendril/detail/task.hpp"
#include "tendril/errors.hpp"

namespace tendril::detail {
namespace {

constexpr size_t kSmallestStack = 16 * 1024;
constexpr int kPools = 17;  // 16 KiB to 1 GiB, by powers of two

rt::SpinLock pools_lock;
rt::StackPool* pools[kPools];  // made at first use, never destroyed; guarded by pools_lock

rt::StackPool* pool_for(size_t stack_size) noexcept {
  if (stack_size < kSmallestStack) stack_size = kSmallestStack;
  stack_size = std::bit_ceil(stack_size);
  if (stack_size == rt::default_stacks().stack_size()) return &rt::default_stacks();
  const auto index = static_cast<size_t>(std::bit_width(stack_size / kSmallestStack) - 1);
  if (index >= kPools) return nullptr;
  rt::SpinGuard guard(pools_lock);
  if (pools[index] == nullptr) pools[index] = rt::runtime_new<rt::StackPool>(stack_size);
  return pools[index];
}

void release_sized_fiber(rt::Fiber* fiber) {
  pool_for(fiber->stack.size)->give_back(fiber->stack);
  rt::give_back_fiber(fiber);
}

}  // namespace

rt::Fiber* new_fiber(rt::FiberEntry entry, void* argument, size_t stack_size) noexcept {
  if (const auto hook = rt::process().hooks.create_identified_fiber; hook != nullptr) {
    return hook(entry, argument);
  }
  if (stack_size == 0) return rt::create_fiber(entry, argument, rt::default_stacks());
  rt::StackPool* pool = pool_for(stack_size);
  if (pool == nullptr) return nullptr;
  rt::Fiber* fiber = rt::create_fiber(entry, argument, *pool);
  if (fiber != nullptr) fiber->last_rites = release_sized_fiber;
  return fiber;
}

void kill_all_here() noexcept {
  rt::Worker* me = this_worker();
  const std::exception_ptr exit = std::make_exception_ptr(GreenletExit());
  for (;;) {
    size_t alive = 0;
    rt::process().for_each_fiber([&](rt::Fiber* fiber) {
      if (fiber->worker != me) return;
      auto* record = static_cast<FiberRecord*>(fiber->api);
      if (record == nullptr || record->task == nullptr) return;
      ++alive;
      throw_into(*record, exit);
    });
    if (alive == 0) return;
    rt::yield();
    rt::sleep_until(rt::deadline_after(100'000));
  }
}

}  // namespace tendril::detail
