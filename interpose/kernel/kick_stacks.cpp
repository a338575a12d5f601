#include "interpose/kernel/kick_stacks.hpp"

#include <utility>

#include "interpose/kernel/worker_state.hpp"

namespace tendril::kernel {
namespace {

// A signal frame (up to 11 KB with AMX), the state of the thread once more, and the switch.
constexpr size_t kSize = 32 * 1024;
constinit rt::StackPool pool(kSize);

}  // namespace

rt::StackPool& kick_stacks() noexcept { return pool; }

rt::Stack take_kick_stack() noexcept {
  const rt::Stack own = std::exchange(state_of(rt::current_worker_unchecked())->kick_stack, {});
  return own ? own : pool.take();
}

void leave_kick_stack(rt::Stack stack) noexcept {
  const rt::Stack former =
      std::exchange(state_of(rt::current_worker_unchecked())->kick_stack, stack);
  if (former) pool.give_back(former);
}

}  // namespace tendril::kernel
