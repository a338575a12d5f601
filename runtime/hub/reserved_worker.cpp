// What a worker that is reserved for one fiber does otherwise than others: it sleeps alone, and its
// fiber makes the calls that may wait itself. (On another worker a call that nobody else could make
// is made so, too; the watchdog has somebody stand in for it.)
#include <linux/futex.h>
#include <poll.h>

#include <new>

#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

Worker* Worker::make_again(Worker* ended, Poller* shared_poller) noexcept {
  const Stack stack = ended->hub.stack;
  auto* worker = new (ended) Worker;
  worker->hub.stack = stack;
  worker->poller = shared_poller;
  return worker;
}

// The readiness set is watched by the others, and a bell that a reserved worker hears is lost to
// them: it asks the Linux kernel itself for what its fiber waits for, and sleeps in that. Without
// that it sleeps on a futex, which is the fastest to wake.
void Worker::sleep_alone(Nanoseconds timeout) noexcept {
  if (timeout == 0) return;
  const timespec limit = to_timespec(timeout == kForever ? 0 : timeout);
  const long until = timeout == kForever ? 0 : reinterpret_cast<long>(&limit);
  if (awaited_.fd >= 0) {
    pollfd probe{awaited_.fd, awaited_.events, 0};
    const long arguments[6] = {reinterpret_cast<long>(&probe), 1, until, 0, 0, 0};
    if (interruptible_call(&rung_, SYS_ppoll, arguments) > 0) wake(awaited_.token);
    return;
  }
  constexpr int kNotRung = 0;
  const long arguments[6] = {
      reinterpret_cast<long>(&rung_), FUTEX_WAIT_PRIVATE, kNotRung, until, 0, 0};
  sleeps_on_futex_.store(true, std::memory_order_seq_cst);
  interruptible_call(&rung_, SYS_futex, arguments);
  sleeps_on_futex_.store(false, std::memory_order_relaxed);
}

// If it has ended that sleep meanwhile it looks for what it was rung for before the next one.
void Worker::ring_alone() noexcept {
  __atomic_store_n(&rung_, 1, __ATOMIC_SEQ_CST);
  if (sleeps_on_futex_.load(std::memory_order_seq_cst)) {
    raw_syscall(SYS_futex, &rung_, FUTEX_WAKE_PRIVATE, 1);
  } else {
    interrupt_call(os_tid);
  }
}

long Worker::call_here(long number, const long (&arguments)[6], WaitKind kind) noexcept {
  Fiber* self = current;
  const WaitToken token = begin_wait(kind, nullptr);
  const auto is_open = [&] {
    return self->wait_word.load(std::memory_order_seq_cst) == token.open_word &&
           !self->interrupt_pending.load(std::memory_order_seq_cst);
  };
  long result = -EINTR;
  // Before we look whether the wait is open: who ends it looks at this afterwards.
  in_call_here_.store(true, std::memory_order_seq_cst);
  for (;;) {
    rung_ = 0;  // before we look for what we were rung for
    if (process().hooks.on_hub_turn != nullptr) process().hooks.on_hub_turn(this);
    if (!is_open()) break;
    const SleepNotice notice(this);
    result = interruptible_call(&rung_, number, arguments);
    if (result != -EINTR) break;
  }
  in_call_here_.store(false, std::memory_order_relaxed);
  if (!cancel_wait(token)) park(kForever);
  return result;
}

void Worker::interrupt_call_here() noexcept {
  if (!in_call_here_.load(std::memory_order_seq_cst)) return;
  rung_ = 1;
  interrupt_call(os_tid);
}

}  // namespace tendril::rt
