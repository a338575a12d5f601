#include "interpose/kernel/alternate_stack.hpp"

#include <cerrno>

namespace tendril::kernel {
namespace {

// <linux/signal.h> has it, which cannot be included beside <signal.h>.
constexpr int kAutoDisarm = static_cast<int>(1U << 31);

// The Linux kernel's own bound, whatever the CPU's registers take. glibc's MINSIGSTKSZ is no
// constant: it is a multiple of what their frame takes, and more than many programs have.
constexpr size_t kSmallest = 2048;

bool contains(const stack_t& stack, uintptr_t sp) noexcept {
  const auto base = reinterpret_cast<uintptr_t>(stack.ss_sp);
  return sp > base && sp - base <= stack.ss_size;
}

}  // namespace

bool is_on_alternate_stack(const stack_t& stack, uintptr_t sp) noexcept {
  return (stack.ss_flags & kAutoDisarm) == 0 && contains(stack, sp);
}

bool takes_handler(const stack_t& stack, uintptr_t sp) noexcept {
  return stack.ss_size != 0 && !contains(stack, sp);
}

stack_t shown_alternate_stack(const stack_t& stack, uintptr_t sp) noexcept {
  stack_t shown = stack;
  shown.ss_flags &= kAutoDisarm;
  if (stack.ss_size == 0) {
    shown.ss_flags |= SS_DISABLE;
  } else if (is_on_alternate_stack(stack, sp)) {
    shown.ss_flags |= SS_ONSTACK;
  }
  return shown;
}

long change_alternate_stack(stack_t* stack, stack_t wanted, uintptr_t sp) noexcept {
  if (is_on_alternate_stack(*stack, sp)) return -EPERM;
  const int mode = wanted.ss_flags & ~kAutoDisarm;
  if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) return -EINVAL;
  if (mode == SS_DISABLE) {
    wanted.ss_sp = nullptr;
    wanted.ss_size = 0;
  } else if (wanted.ss_size < kSmallest) {
    return -ENOMEM;
  }
  *stack = wanted;
  return 0;
}

void disarm_if_asked(stack_t* stack) noexcept {
  if ((stack->ss_flags & kAutoDisarm) != 0) *stack = kNoAlternateStack;
}

}  // namespace tendril::kernel
