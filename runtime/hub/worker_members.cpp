// The members of a group: how their threads begin, serve one fiber alone, and end.
#include <new>
#include <utility>

#include "runtime/hub/bare_thread.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kRootStackSize = 64 * 1024;

// After a worker could not be had: every fiber that becomes ready would be a reason to try again.
constexpr Nanoseconds kBetweenAttempts = 20'000'000;

}  // namespace

// Lies at the bottom of its thread's stack mapping.
struct WorkerGroup::Member {
  BareThread thread;
  WorkerGroup* group;
  bool reserved = false;
  Fiber* root = nullptr;    // of the thread that is next to begin
  Worker* reuse = nullptr;  // what it makes its worker of
  Member* next_idle = nullptr;
  Beginning* beginning = nullptr;  // on the stack of who waits for it; null: nobody does
};

// What has become of a thread that was started.
struct WorkerGroup::Beginning {
  std::atomic<bool> known{false};
  Worker* worker = nullptr;  // null: it has ended again
};

// Precondition: growth_lock_, or nobody else is there yet.
void WorkerGroup::add_member(Worker* worker) noexcept {
  const size_t count = count_.load(std::memory_order_relaxed);
  workers_[count].store(worker, std::memory_order_relaxed);
  size_t ordinary = 0;
  for_each_worker([&](const Worker& other) { ordinary += other.reserved ? 0 : 1; });
  if (!worker->reserved && ordinary >= limit_) {
    worker->spare_rank_ = static_cast<int64_t>(ordinary - limit_);
  } else if (!worker->reserved) {
    worker->rank_ = static_cast<uint32_t>(ordinary);
  }
  count_.store(count + 1, std::memory_order_release);
}

void WorkerGroup::grow(size_t limit) noexcept {
  if (monotonic_now() < grow_again_.load(std::memory_order_relaxed)) return;
  SpinGuard guard(growth_lock_);
  if (withdrawing_.load(std::memory_order_relaxed)) return;
  const size_t made = made_.load(std::memory_order_relaxed);
  if (made - reserved_.load(std::memory_order_relaxed) >= limit ||
      made >= kMostWorkers + kMostSpares)
    return;
  if (current_worker() == nullptr && watchdog_.is_stale()) return;
  if (start_member(/*reserved=*/false, nullptr)) return;
  grow_again_.store(deadline_after(kBetweenAttempts), std::memory_order_relaxed);
}

// Precondition: growth_lock_. False when out of memory or threads.
bool WorkerGroup::start_member(bool reserved, Beginning* beginning) noexcept {
  Member* member = take_idle();
  if (member == nullptr) return false;
  member->reserved = reserved;
  member->beginning = beginning;
  constexpr uint64_t kAllSignals = ~uint64_t{0};  // until the front ends are armed
  if (start_bare_thread(&member->thread, member_main, member, kAllSignals) < 0) {
    put_idle(member);
    return false;
  }
  made_.fetch_add(1, std::memory_order_seq_cst);
  if (reserved) reserved_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void WorkerGroup::member_main(void* argument) {
  auto* member = static_cast<Member*>(argument);
  WorkerGroup* group = member->group;
  Fiber* root = member->root;
  adopt_current_thread(*root, /*shared=*/false);
  int error;
  const auto tls = reinterpret_cast<uintptr_t>(member->thread.tls);
  Worker* worker =
      Worker::adopt_this_thread(root, group->first()->poller, tls, &error, member->reuse);
  worker->group = group;
  worker->reserved = member->reserved;
  worker->member_ = member;
  if (!group->prepare_(worker)) group->resign(*member, *worker);
  {
    SpinGuard guard(group->growth_lock_);
    group->add_member(worker);
  }
  // What the workers were told between our arming and our entry in the list, we look up now.
  interrupt_call(worker->os_tid);
  if (Beginning* beginning = member->beginning; beginning != nullptr) {
    beginning->worker = worker;
    beginning->known.store(true, std::memory_order_release);
  }
  // From here on only the hub and the group's fibers run on this thread.
  begin_wait(WaitKind::kOther, group, /*shielded=*/true);
  park(kForever);
  fatal("a worker's root was woken");
}

// The thread cannot become a worker after all, and has told nobody that it would.
void WorkerGroup::resign(Member& member, Worker& worker) noexcept {
  Fiber* root = worker.root;
  retire_context(worker.hub);
  on_worker = false;
  set_gs_base(0);
  root->state.store(FiberState::kDead, std::memory_order_relaxed);
  give_back_fiber(root);
  Beginning* beginning = member.beginning;
  {
    SpinGuard guard(growth_lock_);
    member.root = nullptr;
    member.reuse = &worker;
    if (member.reserved) reserved_.fetch_sub(1, std::memory_order_relaxed);
    put_idle(&member);
    made_.fetch_sub(1, std::memory_order_seq_cst);
    grow_again_.store(deadline_after(kBetweenAttempts), std::memory_order_relaxed);
  }
  // Whoever went to sleep meanwhile took us for one who is awake.
  first()->poller->ring();
  if (beginning != nullptr) beginning->known.store(true, std::memory_order_release);
  end_bare_thread();
}

// Precondition: growth_lock_.
void WorkerGroup::put_idle(Member* member) noexcept {
  member->next_idle = idle_;
  idle_ = member;
}

// Precondition: growth_lock_. Sees to it that the member's thread will not lack memory.
bool WorkerGroup::equip(Member& member) noexcept {
  if (member.root == nullptr) member.root = take_fiber();
  if (member.root == nullptr) return false;
  if (member.reuse == nullptr) member.reuse = Worker::make(first()->poller, nullptr);
  if (member.reuse != nullptr) return true;
  give_back_fiber(std::exchange(member.root, nullptr));
  return false;
}

// Precondition: growth_lock_. A record whose thread may be started; null when out of memory.
WorkerGroup::Member* WorkerGroup::take_idle() noexcept {
  Member* member = nullptr;
  for (Member** link = &idle_; *link != nullptr; link = &(*link)->next_idle) {
    if (!(*link)->thread.has_ended()) continue;
    member = *link;
    *link = member->next_idle;
    break;
  }
  if (member == nullptr) {
    BareThread thread;
    void* memory = prepare_bare_thread(kRootStackSize, &thread);
    if (memory == nullptr) return nullptr;
    member = new (memory) Member{thread, this};
  }
  if (equip(*member)) return member;
  put_idle(member);
  return nullptr;
}

Worker* WorkerGroup::reserve() noexcept {
  Beginning beginning;
  {
    SpinGuard guard(growth_lock_);
    if (made_.load(std::memory_order_relaxed) >= kMostWorkers) return nullptr;
    if (!start_member(/*reserved=*/true, &beginning)) return nullptr;
  }
  for (Backoff backoff; !beginning.known.load(std::memory_order_acquire);) backoff.yield();
  return beginning.worker;
}

bool WorkerGroup::bind_current_fiber() noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  if (worker->reserved) return true;
  Worker* own = reserve();
  if (own == nullptr) return false;
  Fiber* self = worker->current;
  self->pinned = true;
  self->worker = own;
  self->state.store(FiberState::kYielding, std::memory_order_relaxed);
  Worker::switch_away(self);
  return true;
}

bool WorkerGroup::bind(Fiber* fiber) noexcept {
  RuntimeSection section;
  Worker* own = reserve();
  if (own == nullptr) return false;
  fiber->pinned = true;
  fiber->worker = own;
  return true;
}

void WorkerGroup::leave(Worker& worker) noexcept {
  if (worker.watching_) stop_watching(worker);
  {
    // Nobody makes the workers do anything while this is held.
    SpinGuard guard(growth_lock_);
    const size_t count = count_.load(std::memory_order_relaxed);
    size_t place = 0;
    while (workers_[place].load(std::memory_order_relaxed) != &worker) ++place;
    workers_[place].store(workers_[count - 1].load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
    count_.store(count - 1, std::memory_order_release);
    made_.store(made_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    if (worker.reserved) reserved_.fetch_sub(1, std::memory_order_relaxed);
  }
  tell_kernel_fs_base();
  const uint64_t everything = ~uint64_t{0};
  raw_syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &everything, nullptr, sizeof everything);
  // What has arrived here until now is passed on.
  if (process().hooks.on_hub_turn != nullptr) process().hooks.on_hub_turn(&worker);
  if (retire_ != nullptr) retire_(&worker);
  Fiber* root = worker.root;
  auto* member = static_cast<Member*>(worker.member_);
  root->state.store(FiberState::kDead, std::memory_order_relaxed);
  give_back_fiber(root);
  {
    SpinGuard guard(growth_lock_);
    member->root = nullptr;
    member->reuse = &worker;
    put_idle(member);
  }
  on_worker = false;  // the thread-locals are reused
  end_bare_thread();
}

void WorkerGroup::expect_losses() noexcept {
  first_lives_.store(1, std::memory_order_relaxed);
  raw_syscall(SYS_set_tid_address, &first_lives_);
  expects_losses_ = true;
}

// Who leaves is in the list no more when its OS thread ends.
bool WorkerGroup::has_lost_thread() noexcept {
  if (!expects_losses_) return false;
  if (first_lives_.load(std::memory_order_acquire) == 0 || offload_has_lost_thread()) return true;
  bool found = false;
  SpinGuard guard(growth_lock_);
  for_each_worker([&](const Worker& worker) {
    const auto* member = static_cast<const Member*>(worker.member_);
    if (member != nullptr && member->thread.has_ended()) found = true;
  });
  return found;
}

bool WorkerGroup::has_nothing(const Worker& worker) const noexcept {
  return !worker.reserved && &worker != first() && !worker.anything_ready() &&
         worker.inbox.empty() && worker.timers.nearest() == kForever;
}

void WorkerGroup::pin_to_first() noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  Fiber* self = worker->current;
  self->pinned = true;
  if (worker == first()) return;
  self->worker = first();
  self->state.store(FiberState::kYielding, std::memory_order_relaxed);
  Worker::switch_away(self);
}

bool WorkerGroup::withdraw_to_first() noexcept {
  constexpr int kMostLooks = 5000;  // a tenth of a second and more
  RuntimeSection section;
  Fiber* self = current_worker_unchecked()->current;
  const bool was_pinned = self->pinned;
  pin_to_first();
  self->pinned = was_pinned;
  withdrawing_.store(true, std::memory_order_release);
  Backoff backoff;
  for (int looks = 0; looks < kMostLooks; ++looks) {
    // Whoever is told before it sleeps, or before it starts a watchdog, has not heard it: again and
    // again, until all have left.
    watchdog_.retire();
    {
      SpinGuard guard(growth_lock_);
      if (made_.load(std::memory_order_relaxed) == 1 && !watchdog_.is_started()) return true;
      for_each_worker([&](Worker& other) {
        if (&other == first()) return;
        other.rung_ = 1;
        interrupt_call(other.os_tid);
      });
    }
    backoff.yield();
  }
  return false;
}

void WorkerGroup::lock_complete() noexcept {
  for (Backoff backoff;;) {
    growth_lock_.lock();
    if (made_.load(std::memory_order_relaxed) == count_.load(std::memory_order_relaxed)) return;
    growth_lock_.unlock();
    backoff.yield();
  }
}

}  // namespace tendril::rt
