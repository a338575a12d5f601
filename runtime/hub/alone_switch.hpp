// The switches of workers that wait plainly (Worker::waits_plainly): of explicit fibers.
//
// Nobody else touches their queues or the states of their fibers, so the usual case is a few dozen
// instructions. They are inline, because what a switch costs most is returns: the CPU predicts the
// return addresses of the flow that was left, and every frame between the switch and the code that
// wanted it is one misprediction.
#pragma once

#include "runtime/hub/prefetch_following.hpp"
#include "runtime/hub/worker.hpp"

namespace tendril::rt {

template <bool kDying>
inline __attribute__((always_inline)) void Worker::switch_plainly_to(Fiber* next,
                                                                     Fiber* self) noexcept {
  next->state.store(FiberState::kRunning, std::memory_order_relaxed);
  current = next;
  ++stats.switches;
  // Their fibers share the thread that they are alone on.
  finish_switch_if_due(static_cast<Fiber*>(switch_context<true>(*self, *next, kDying)));
}

// The running fiber parks, or ends.
template <FiberState kLeaves>
inline __attribute__((always_inline)) void Worker::switch_away_plainly(Fiber* self) noexcept {
  Fiber* next = woken_.front();
  if (next == nullptr || turns_left_ <= 1 || (woken_streak_ >= kWokenInARow && !yielded_.empty()))
      [[unlikely]] {
    constexpr bool kParks = kLeaves == FiberState::kParked;
    self->state.store(kParks ? FiberState::kParking : kLeaves, std::memory_order_relaxed);
    return switch_away(self);
  }
  // Nobody looks at the state before the next one runs: it is the same OS thread.
  self->state.store(kLeaves, std::memory_order_release);
  --turns_left_;
  ++woken_streak_;
  only_yielded_ = false;
  woken_.pop();
  prefetch_following(woken_.front(), hub.fs_base);
  switch_plainly_to<kLeaves == FiberState::kDead>(next, self);
}

// The running fiber goes to the end of the queue of those that yield. False, and nothing done, if
// that is not all there is to do.
inline __attribute__((always_inline)) bool Worker::yield_plainly() noexcept {
  if (turns_left_ <= 1 || !woken_.empty() || yielded_.empty()) [[unlikely]]
    return false;
  Fiber* self = current;
  --turns_left_;
  self->state.store(FiberState::kReady, std::memory_order_relaxed);
  switch_plainly_to<false>(yielded_.exchange(self), self);
  return true;
}

// Own thread only.
inline void Worker::make_ready_plainly(Fiber* fiber) noexcept {
  fiber->state.store(FiberState::kReady, std::memory_order_relaxed);
  woken_.push(fiber);
}

inline void Worker::start_plainly(Fiber* fiber) noexcept {
  // A spare one is in the list already.
  if (fiber->state.load(std::memory_order_relaxed) != FiberState::kSpare) fibers.add(fiber, this);
  make_ready_plainly(fiber);
}

inline void Worker::let_run_plainly(Fiber* claimed) noexcept {
  if (claimed->state.load(std::memory_order_relaxed) == FiberState::kParked) {
    make_ready_plainly(claimed);
  } else {
    claimed->state.store(FiberState::kWakePending, std::memory_order_relaxed);
  }
}

inline __attribute__((always_inline)) bool Worker::park_plainly(Fiber* self) noexcept {
  if (self->interrupt_pending.load(std::memory_order_relaxed)) return false;
  if (self->state.load(std::memory_order_relaxed) == FiberState::kRunning) [[likely]] {
    switch_away_plainly<FiberState::kParked>(self);
  } else {
    self->state.store(FiberState::kRunning, std::memory_order_relaxed);  // the permit was here
  }
  self->wait_kind = WaitKind::kNone;
  return true;
}

}  // namespace tendril::rt
