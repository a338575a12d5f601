// Where the API's fibers come from, and how those of a thread end with it.
#include <bit>
#include <vector>

#include "runtime/hub/process.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/greenlet_core.hpp"
#include "runtime/sync/inspection.hpp"
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

namespace {

// Fibers that have a record, and belong to the thread without being what it began with.
size_t interrupt_fibers_of(const FiberRecord& own) noexcept {
  const Shield shield(const_cast<FiberRecord&>(own));
  const std::exception_ptr exit = std::make_exception_ptr(GreenletExit());
  std::vector<FiberHandle> tasks;
  size_t greenlets = 0;
  for (const SeenFiber& seen : look_at_fibers(own.thread)) {
    if (seen.handle) {
      tasks.push_back(seen.handle);
    } else if (!seen.begins_thread) {
      ++greenlets;
    }
  }
  if (greenlets > 0) end_greenlets_of(own);
  for (const FiberHandle& task : tasks) task.kill_soon(exit);
  for (const FiberHandle& task : tasks) task.join();
  return tasks.size() + greenlets;
}

}  // namespace

void end_fibers_of(const FiberRecord& own) noexcept {
  while (interrupt_fibers_of(own) > 0) rt::yield();  // those that are done are on their way out
  const rt::Worker* me = rt::current_worker_unchecked();
  if (me->root != own.fiber) return;
  for (size_t others = 1; others > 0;) {  // no fiber may outlive its worker
    rt::yield();
    others = 0;
    rt::process().for_each_fiber(
        [&](const rt::Fiber* fiber) { others += fiber->worker == me && fiber != own.fiber; });
  }
}

void stack_pools_reset_after_fork() noexcept {
  pools_lock.reset_after_fork();
  for (rt::StackPool* pool : pools) {
    if (pool != nullptr) pool->reset_after_fork();
  }
}

}  // namespace tendril::detail
