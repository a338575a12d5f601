// A fiber: a context with an identity and a place in the scheduler.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/context/context.hpp"
#include "runtime/fiber/intrusive_list.hpp"
#include "runtime/fiber/timer.hpp"
#include "runtime/fiber/wait.hpp"
#include "runtime/memory/stack_pool.hpp"
#include "runtime/platform/relaxed.hpp"

namespace tendril::rt {

class Worker;

// Each state names who holds the fiber.
enum class FiberState : uint32_t {
  kReady,        // a run queue of its worker
  kSpare,        // its worker: it has ended, and its context waits for the next entry (park.cpp)
  kParked,       // nobody: whoever claims its wait makes it ready
  kRunning,      // Worker::current
  kYielding,     // itself, leaving its stack; finish_switch queues it
  kParking,      // itself, leaving its stack with a wait open
  kWakePending,  // itself, leaving its stack; its wait was claimed meanwhile, finish_switch queues
                 // it
  kDead,         // nobody; finish_switch runs its last rites
};

const char* fiber_state_name(FiberState state) noexcept;

using FiberEntry = void (*)(Fiber* self, void* argument);

// What a wake and a switch touch lies in two cache lines.
struct alignas(64) Fiber : Context, ListLink {  // ListLink: the process's list of fibers
  // --- what a switch touches, beside Context ---
  std::atomic<FiberState> state{FiberState::kDead};
  bool pinned = false;  // never leaves its worker; written by the fiber itself or before it runs
  bool was_stolen = false;  // and has not waited since; its worker's
  bool struck = false;      // once by the tick, since its last slice as a hog; its worker's
  bool computes = false;    // see Worker::note_computing; of who holds it
  // Someone wants attention (signal, kill): checked when a wait opens. Set by any thread.
  std::atomic<bool> interrupt_pending{false};
  Relaxed<WaitKind> wait_kind{WaitKind::kNone};  // written by the fiber itself
  Fiber* next_ready = nullptr;                   // link of the queue that state names
  // Where it runs, or waits to run, or last ran. A fiber of a group moves: written by whoever has
  // the right to queue it.
  Worker* worker = nullptr;
  std::atomic<uint64_t> wait_word{wait_word::pack(0, WakeReason::kNotWaiting)};
  Relaxed<const void*> wait_object{nullptr};  // what it waits on: an fd, an address
  // A transfer that the Linux kernel makes for it, see TransferRing; its worker's.
  struct Transfer {
    int32_t result = 0;
    bool under_way = false;
    bool more = false;
  } transfer;
  void* owner = nullptr;  // interposition: the green thread's Thread
  Timer timer;            // deadline of the open wait

  // --- life ---
  Stack stack;  // empty: not ours (an OS thread's, or one that glibc mapped)
  FiberEntry entry = nullptr;
  void* argument = nullptr;
  // Called once the fiber has left its stack for ever, on the next fiber's stack and thread-locals:
  // must not block, allocate from libc or throw. Frees what belongs to the fiber.
  void (*last_rites)(Fiber* self) = nullptr;
  void* api =
      nullptr;  // the explicit API: its FiberRecord; written by the fiber itself or before it runs

  // How many of its turns have ended, see Worker::end_turn, in the run that began with the wait of
  // that number; its worker's.
  uint32_t ended_turns = 0;
  uint64_t ended_turns_after = 0;

  // Of one that computes: nanoseconds that it has computed and not made good by waiting, and when
  // the run or wait that is not counted yet began; of who holds it.
  int64_t computed = 0;
  int64_t computed_at = 0;

  std::atomic<int64_t> cpu_time{0};  // nanoseconds that were charged to it, see hub/cpu_time.hpp
  uint64_t id = 0;
  char name[32] = {};

  Fiber*& pool_link() noexcept { return next_ready; }  // in no queue while it is in the pool
};

// From the pool, state kDead, registered nowhere. Null when out of memory.
Fiber* take_fiber() noexcept;
// Makes a fiber that has ended as take_fiber gives them, but for its id, its context, its stack and
// what is to become of them. The API has taken its record away already: others look there.
inline void reset_fiber(Fiber* fiber) noexcept {
  fiber->interrupt_pending.store(false, std::memory_order_relaxed);
  fiber->wait_kind = WaitKind::kNone;
  fiber->pinned = false;
  fiber->was_stolen = false;
  fiber->struck = false;
  fiber->computes = false;
  fiber->ended_turns = 0;
  fiber->cpu_time.store(0, std::memory_order_relaxed);
  fiber->owner = nullptr;
  fiber->name[0] = '\0';
}
void give_back_fiber(Fiber* fiber) noexcept;
SpinLock& fiber_pool_lock() noexcept;  // held around fork
void fiber_pool_reset_after_fork() noexcept;

}  // namespace tendril::rt
