// A worker: an OS thread that runs fibers, and its hub.
//
// A fiber that blocks switches straight to the next ready one. The hub fiber runs when nothing is
// ready, and otherwise whenever the budget of turns or of time is used up, so that chatty fibers
// starve neither I/O nor timers.
//
// A worker is alone (explicit fibers: they stay where they were made) or one of a WorkerGroup,
// whose fibers move between its members unless they are pinned.
#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/fiber.hpp"
#include "runtime/fiber/run_queue.hpp"
#include "runtime/fiber/timer.hpp"
#include "runtime/hub/convoy.hpp"
#include "runtime/hub/cpu_time.hpp"
#include "runtime/hub/fiber_list.hpp"
#include "runtime/hub/hog_run.hpp"
#include "runtime/hub/standstill.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/spin_lock.hpp"
#include "tendril/detail/sync_state.hpp"

namespace tendril::rt {

class EmbeddedLoop;
class Poller;
class StackPool;
class TransferRing;
class WorkerGroup;

// Counters for --stats; each written by its own worker only.
struct WorkerStats {
  uint64_t switches = 0;  // read by the group, too
  uint64_t stolen = 0;    // fibers taken from other workers
  uint64_t preemptions = 0;
  uint64_t hub_turns = 0;
  uint64_t hub_sleeps = 0;
  Nanoseconds longest_without_hub = 0;
  uint64_t calls_by_symbol = 0;
  uint64_t calls_by_trap = 0;
  uint64_t calls_by_patch = 0;
  uint64_t calls_passed = 0;

  void add(const WorkerStats& other) noexcept;
};

enum class Selector : uint8_t {  // values fixed by Syscall User Dispatch
  kAllow = 0,                    // runtime code: system calls go to the kernel
  kBlock = 1,                    // program code: they come to us
};

// Why a running fiber is made to give up the processor.
enum class Preemption : uint8_t {
  kNone,
  kSliceEnded,  // others that compute are to have their turn
  kGivesWay,    // to those who were woken; it goes on before the others that compute
  kHasWoken,    // the same, by itself: whom it gives way to is ready, nobody need look around
};

class Worker {
 public:
  // --- read through the GS base: offsets are part of the contract with assembly ---
  Worker* const self = this;                     // gs:0
  volatile Selector selector{Selector::kAllow};  // gs:8, see interpose/trap
  // Set while a vfork child borrows this worker's memory: everything passes natively.
  volatile bool vfork_child_runs = false;
  // The running fiber was to be preempted while runtime code ran: it yields on its way out, see
  // carry_out_preemption.
  volatile Preemption preemption_due = Preemption::kNone;

  Fiber* current = nullptr;  // the running fiber; own thread only
  Fiber hub;                 // owner of the loops; runs hub_main
  Fiber* root = nullptr;     // what this OS thread ran before it became a worker

  Inbox inbox;  // made ready by other OS threads, to run here
  TimerQueue timers;
  Poller* poller = nullptr;      // shared by the workers of a group
  WorkerGroup* group = nullptr;  // null: a worker alone. Set before it runs anything
  // Alone, and other threads pass a fence when it asks them to (see park.cpp): its fibers wait
  // without atomic read-modify-writes. Written before it runs anything.
  bool waits_plainly = false;
  TransferRing* transfers = nullptr;  // who makes its fibers' transfers, if not they themselves
  WorkerStats stats;
  CpuAccount cpu_account;
  FibersAlone fibers;  // empty in a group

  // Runs the one fiber that is bound to it and no other, see WorkerGroup::bind_current_fiber. Set
  // before it runs anything.
  bool reserved = false;

  int os_tid = 0;
  void* layer_data = nullptr;  // the layer above: interposition keeps its per-worker state here

  void* api_data = nullptr;  // the explicit API: its per-worker state

  // Makes sure that the next adopt_this_thread without a shared poller does not fail. False when
  // memory or descriptors cannot be had.
  static bool prepare() noexcept;

  // Makes this OS thread a worker whose root fiber is the caller. `hub_fs_base`: 0, or a thread
  // control block for the hub alone (interposed processes). False, with errno-style code in
  // *error, when stacks or descriptors cannot be had.
  // `reuse`: a reserved worker that has left its group and whose thread has ended, or null.
  static Worker* adopt_this_thread(Fiber* root, Poller* shared_poller, uintptr_t hub_fs_base,
                                   int* error, Worker* reuse = nullptr) noexcept;

  // The opposite, before a plain OS thread ends; called on the root fiber, which is given back,
  // when no other fiber of this worker is alive. The worker is kept for the next thread: late
  // wakers may still ring it.
  static void release_this_thread() noexcept;

  // Suspends the running fiber, whose state says why, and runs another. Returns when it is resumed,
  // perhaps on another worker.
  static void switch_away(Fiber* self) noexcept;

  // What is done most often, without a call, for workers that wait plainly (alone_switch.hpp).
  template <FiberState kLeaves>  // kParked, kSpare or kDead
  void switch_away_plainly(Fiber* self) noexcept;
  bool yield_plainly() noexcept;
  void make_ready_plainly(Fiber* fiber) noexcept;
  void start_plainly(Fiber* fiber) noexcept;
  void let_run_plainly(Fiber* claimed) noexcept;  // as rt::let_run
  // In the wait that the running fiber has opened, without a deadline. False, and nothing done, if
  // it has been interrupted.
  bool park_plainly(Fiber* self) noexcept;

  // The running fiber lets others run: goes to the end of the queue of those that yield. Own
  // thread, runtime mode. Returns at once if nothing else is ready.
  static void yield_current(Worker* worker) noexcept;

  Nanoseconds cpu_time_at_look = 0;  // the watchdog's, as the next
  uint64_t switches_at_glance = 0;

  // Set when the hub has nothing left to do but what the clock or a descriptor of the group may
  // bring: the switches made by then, plus 1. It still is that number if there has been nothing to
  // do since. Read by any thread.
  std::atomic<uint64_t> idle_after{0};

  // What is shared in the making of workers. Both locks are held around fork.
  static SpinLock& retired_workers_lock() noexcept;
  static StackPool& hub_stacks() noexcept;

  // Queues a fiber that is kReady where it is to run: on its own worker if it is pinned or its
  // worker alone, else on the caller's, else wherever one of its group is free. Any thread.
  static void schedule(Fiber* fiber) noexcept;

  // Makes the hub look around soon, if it sleeps. Any thread.
  void ring() noexcept;

  // The same from a signal handler on this worker's own thread: it may be just before its sleep.
  void ring_from_handler(ucontext_t* frame) noexcept;

  // The running fiber makes a call that may wait, here: on a reserved worker nobody else would run
  // meanwhile, on others somebody stands in after a moment. As offload otherwise.
  long call_here(long number, const long (&arguments)[6],
                 WaitKind kind = WaitKind::kOffload) noexcept;
  // Ends that call, if it is in one. Any thread.
  void interrupt_call_here() noexcept;
  // Of a reserved worker: the wait that its fiber is about to begin ends, besides otherwise, when
  // the descriptor has one of the events of poll(2). Negative: none, any more. Own thread.
  void await(int fd, short events, WaitToken token) noexcept { awaited_ = {fd, events, token}; }
  // A native call that ends with -EINTR if the worker is rung from now on, or was since
  // forget_rings. Own thread, runtime mode.
  long call_unless_rung(long number, const long (&arguments)[6]) noexcept;
  void forget_rings() noexcept { rung_ = 0; }

  // A fiber whose calls never wait makes no switches: whether it has done so for long enough to let
  // others go on, at the end of a call; and that. Own thread, runtime mode.
  bool turn_may_be_over() noexcept { return ++ended_calls_ % kCallsPerLook == 0 && turn_is_over(); }
  void end_turn() noexcept;

  // --- preemption, see worker_preemption.cpp; own thread ---

  // So many ticks make a time slice: a fiber that computes is preempted by the tick that finds it
  // running as the one before did. 1 (for tests): by each.
  int ticks_per_slice = 1;

  // In the handler of the signal by which ticks and interruptions come: whether the running fiber
  // is to be preempted.
  Preemption preemption_at_kick(bool tick) noexcept;
  // It came upon runtime code: later; and what that left to be done. The latter in runtime mode.
  void preempt_on_way_out(Preemption why) noexcept;
  void carry_out_preemption() noexcept;
  // Lets the hub look around, unless it is kHasWoken, then whoever is ready, then goes on. Runtime
  // mode.
  void preempt_current(Preemption why) noexcept;
  // The running fiber computes and has been interrupted: whom that has woken does not wait for the
  // end of its slice. Runtime mode.
  void give_way_if_woken() noexcept;

  // The running fiber has come back from a wait for a descriptor or the clock; or begins to wait.
  // In a group only, see convoy.hpp.
  void note_return_from_outside(Fiber& self) noexcept;
  void note_wait(Fiber& self) noexcept;

  // The running fiber is a hog and has made somebody ready.
  void hog_has_woken() noexcept;

  HogRun hog_run;
  Standstill standstill;  // the watchdog's
  // --- by any thread ---
  uint64_t switches_so_far() const noexcept;
  bool runs_hog() const noexcept;  // or is about to
  void interrupt_hog(Preemption why) noexcept;
  // A hint.
  bool anything_woken() const noexcept { return woken_.seems_filled(); }

  // The hub has been round within the time that it is due in.
  bool hub_is_near() const noexcept { return cycle_count() - last_hub_cycles_ < kCyclesPerHubTurn; }

  // What runs beside the fibers; null if nothing does. Own thread only.
  EmbeddedLoop* loop() const noexcept { return loop_; }
  // False when out of descriptors; there must be none yet.
  bool embed(EmbeddedLoop* loop) noexcept;
  bool loop_is_alive() const noexcept;  // true if it has handles or requests to wait for

  bool anything_ready() const noexcept { return !woken_.empty() || !yielded_.empty(); }

  // Fibers in the queues that others of the group may take; read by any thread.
  uint32_t movable() const noexcept { return movable_.load(std::memory_order_relaxed); }

  // Takes up to `most` of them for the caller. Returns how many.
  uint32_t give_to(Worker& thief, uint32_t most) noexcept;

  // Adds one at the end of the woken. Own thread only. False: it is a hog, and stands among those.
  bool add_woken(Fiber* fiber) noexcept;

  // In the child of fork: the only OS thread left is this worker's; `survivor` is running on it.
  void forget_after_fork() noexcept;

  // What a fiber must do first when it runs for the first time.
  void finish_switch(Fiber* left) noexcept;
  __attribute__((always_inline)) void finish_switch_if_due(Fiber* left) noexcept {
    // Who left by one of these two is where its state says already.
    static_assert(FiberState::kReady < FiberState::kParked);
    if (left->state.load(std::memory_order_relaxed) > FiberState::kParked) finish_switch(left);
  }

 private:
  friend class WorkerGroup;  // idle workers keep their place in it here

  // Taken by the workers of a group only; in runtime mode.
  class QueueLock {
   public:
    explicit QueueLock(Worker& worker) noexcept
        : lock_(worker.group != nullptr ? &worker.queue_lock_ : nullptr) {
      if (lock_ != nullptr) lock_->lock();
    }
    ~QueueLock() {
      if (lock_ != nullptr) lock_->unlock();
    }
    QueueLock(const QueueLock&) = delete;
    QueueLock& operator=(const QueueLock&) = delete;

   private:
    SpinLock* const lock_;
  };

  bool strike() noexcept;
  static void note_computing(Fiber& self, Nanoseconds now) noexcept;
  [[gnu::cold, gnu::noinline]] bool goes_on_as_hog(Fiber& fiber) noexcept;
  [[gnu::cold, gnu::noinline]] void go_on_computing(Fiber& fiber) noexcept;
  bool turn_is_over() noexcept;
  void switch_to(Fiber* next, Fiber* self) noexcept;
  [[gnu::cold, gnu::noinline]] void switch_with_duties(Fiber* next, Fiber* self,
                                                       uint8_t duties) noexcept;
  template <bool kDying>
  void switch_plainly_to(Fiber* next, Fiber* self) noexcept;
  Fiber* pick_next() noexcept;
  Fiber* pick_second_class() noexcept;
  Fiber* pick_by_seed() noexcept;
  void add_yielded(Fiber* fiber) noexcept;
  void count_movable(const Fiber* fiber, int change) noexcept;
  bool hub_is_due() noexcept;
  Deadline nearest_timer() const noexcept;
  [[noreturn]] void hub_main() noexcept;
  static void retire(Worker* worker) noexcept;
  static Worker* make(Poller* shared_poller, Worker* reuse) noexcept;
  static Worker* make_again(Worker* ended, Poller* shared_poller) noexcept;
  void sleep_alone(Nanoseconds timeout) noexcept;
  void ring_alone() noexcept;
  void close_loop() noexcept;
  static void hub_entry(boost::context::detail::transfer_t transfer);
  void hub_turn() noexcept;
  void note_turns(Nanoseconds now) noexcept;
  void report_idle(bool for_ever) noexcept;
  void drain_inbox() noexcept;
  void admit(Fiber* fiber) noexcept;
  Nanoseconds time_to_sleep(Deadline now) noexcept;

  static constexpr int kTurnsPerLook = 64;      // turns between looks at the clock
  static constexpr int kLooksPerHubTurn = 256;  // at most 16,384 turns without the hub
  static constexpr int kLooksPerSeededHubTurn = 16;
  static constexpr uint64_t kCyclesPerHubTurn = 500'000;  // or about 200 µs
  static constexpr uint8_t kCallsPerLook = 16;            // calls that did not wait
  static constexpr uint64_t kCyclesPerTurn = 1'000'000;   // or about 400 µs
  static constexpr uint32_t kTurnsPerSlice = 20;
  static constexpr Nanoseconds kLeastComputed = 5'000'000;  // by whose slice has ended
  static constexpr Nanoseconds kMostComputed = 20'000'000;
  static constexpr int kWokenInARow = 64;  // then one that yielded
  // Or for so long, then one that yielded or computes.
  static constexpr Nanoseconds kWokenTime = 10'000'000;
  // Timers that come in a stream are fired some at a time: where this many were due after a sleep,
  // the next one is this long at least. Each sleep costs 10 to 30 µs of CPU. A short wait among
  // them ends that.
  static constexpr size_t kTimersInAStream = 16;
  static constexpr Nanoseconds kSleepInAStream = 400'000;

  SpinLock queue_lock_;
  LocalQueue woken_;    // came out of a wait: run before the others (bounded)
  LocalQueue yielded_;  // yielded; of a worker alone and of pinned ones: or were preempted
  std::atomic<uint32_t> movable_{0};
  bool deserted_ = false;                      // reserved, and the bound fiber has ended
  Preemption preempting_ = Preemption::kNone;  // the fiber being left was preempted
  bool group_is_next_ = false;  // whose turn it is: the group's preempted or the own yielded
  bool only_yielded_ = false;   // since the hub's last turn all that ran were fibers that yield

  bool hub_due_ = false;  // the hub runs because its budget is used up, and must look around
  int turns_left_ = kTurnsPerLook;
  int looks_left_ = kLooksPerHubTurn;
  uint8_t ended_calls_ = 0;
  uint64_t turn_at_ = UINT64_MAX;  // the number of switches at the last look at a turn
  uint64_t turn_began_ = 0;
  uint64_t last_hub_cycles_ = 0;
  Nanoseconds last_hub_time_ = 0;
  int woken_streak_ = 0;
  bool timers_stream_ = false;
  bool second_class_is_due_ = false;   // those who were woken have kept it waiting
  Nanoseconds computed_last_ = 0;      // when the second class last had its turn
  uint64_t struck_at_ = 0;             // the number of switches at the last tick
  uint64_t preempts_at_ = 0;           // for preemption_due: the number of switches then
  bool was_preempted_ = false;         // the hub's turn comes of it
  std::atomic<bool> sleeping_{false};  // the hub is (about to be) in epoll_wait
  volatile int rung_ = 0;              // ends that wait, see interruptible_call
  std::atomic<bool> in_call_here_{false};
  // Of a reserved worker.
  std::atomic<bool> sleeps_on_futex_{false};
  struct Awaited {
    int fd = -1;
    short events = 0;
    WaitToken token;
  };
  Awaited awaited_;

  void* member_ = nullptr;  // its group's record of it

  // Of an idle worker in a group, see WorkerGroup; own thread only.
  bool watching_ = false;
  int quiet_ticks_ = 0;
  Nanoseconds tick_ = 0;
  // Of a worker beyond the group's limit: it runs while more spares are wanted than its rank.
  // Those within the limit have a rank below every number.
  int64_t spare_rank_ = -1;
  // Of the others: how many came before it. It runs while more than those are useful.
  uint32_t rank_ = 0;
  StrangeRuns strange_runs_;
  LonePeriods lone_periods_;
  uint64_t switches_at_look_ = 0;  // the watchdog's

  // Written by whoever watches: what it saw at its last look.
  uint64_t watched_switches_ = 0;
  bool watched_waiting_ = false;

  EmbeddedLoop* loop_ = nullptr;
  Worker* next_retired_ = nullptr;
};

static_assert(offsetof(Worker, self) == 0 && offsetof(Worker, selector) == 8);
static_assert(offsetof(Worker, current) == offsetof(tendril::detail::WorkerHead, current) &&
              offsetof(Worker, current) == kRunningFiberInWorker &&
              offsetof(Context, fs_base) == kFsBaseInFiber);

}  // namespace tendril::rt
