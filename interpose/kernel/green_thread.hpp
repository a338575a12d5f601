// A green thread: what the kernel calls a task, and what glibc takes for one.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "interpose/kernel/scheduling.hpp"
#include "interpose/kernel/signal_queue.hpp"
#include "runtime/fiber/fiber.hpp"
#include "runtime/fiber/intrusive_list.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

// The program's registers at a system call: where its stack can be walked from.
struct CallSite {
  uint64_t ip = 0;
  uint64_t sp = 0;
  uint64_t bp = 0;
};

// A seccomp filter of the program's has raised SIGSYS for a system call that the runtime was making
// for the thread. It is settled on the way out, see filtered_call.hpp.
struct FilteredCall {
  bool happened = false;
  int error = 0;  // si_errno
  int number = 0;
  unsigned architecture = 0;
};

// What a hook's try has come to, for the full call that follows.
struct Progress {
  size_t bytes = 0;         // that it has moved: the full call goes on there
  uint32_t generation = 0;  // of the descriptor that it was; of those of a poll, see poll_wait.cpp
  bool tried = false;       // it has found nothing: the full call waits at once
};

// For a kernel thread of its own, by another thread: see own_kernel_thread.hpp.
enum class Wish : uint8_t { kNone, kOpen, kRefused };

// Instead of the number of a system call. (-1 is one that programs may make.)
inline constexpr long kNoCall = LONG_MIN;

struct GreenThread : rt::ListLink {  // in ThreadTable::threads
  rt::Fiber* fiber = nullptr;
  int tid = 0;

  // --- what every call looks at, side by side ---
  bool trying = false;  // a symbol hook's try: do not park, say kWouldWait
  // Until the trap that delivers signals no other way may do so: a handler that ran in between
  // would not be known to the call, which would be restarted where it had to end with EINTR. Own
  // only.
  bool hold_delivery = false;
  FilteredCall filtered;    // own only
  uint32_t held_flags = 0;  // of the CPU, that the program set: trap/held_flags.hpp; own only
  Progress progress;        // of such a try
  // Its stack, if it was made with one whose size is known: its frames lie there, up to the top.
  // Written before it runs.
  uintptr_t stack_bottom = 0;
  uintptr_t stack_top = 0;

  // --- what glibc registers with the kernel; written by the thread itself ---
  uint32_t* clear_child_tid = nullptr;  // zeroed and woken when the thread has left its stack
  void* robust_list = nullptr;

  Scheduling scheduling;  // guarded by ThreadTable::lock
  // Somebody has set what takes a kernel thread of its own. Set by any thread, cleared by its own.
  std::atomic<bool> scheduling_to_carry_out{false};
  std::atomic<Wish> wish{Wish::kNone};  // opened by any thread, under ThreadTable::lock
  bool bound_for_scheduling = false;    // and for nothing else; own only

  char name[16] = {};  // prctl(PR_SET_NAME)
  // Of the latest call that came by the trap or from a patched site, as every futex call of the C
  // library does; written by the thread itself.
  CallSite call_site;
  int standing_index = 0;  // while a standstill is looked at; guarded by ThreadTable::lock

  gregset_t start{};              // registers with which the thread begins
  uint32_t start_key_rights = 0;  // the same, where they are kept

  // --- signals; guarded by SignalState::lock unless said otherwise ---
  uint64_t blocked = 0;      // what the program set; SIGSYS may be in it, the kernel never sees it
  uint64_t waiting_for = 0;  // the set of a sigtimedwait in progress
  SignalQueue pending;
  // Its wait looks at what a signalfd shows (signal_descriptors.hpp). Its own thread writes, any
  // may read.
  std::atomic<bool> watches_signalfds{false};
  uint64_t shown_by_edge = 0;  // of these, what an edge-triggered epoll set has told already
  stack_t alternate_stack{nullptr, SS_DISABLE, 0};  // the thread's own only
  // A mask to go back to once the signals of a sigsuspend, ppoll… were delivered; own only.
  bool restore_blocked = false;
  uint64_t saved_blocked = 0;

  // What a patched call or a hook came to, for the trap that delivers signals after it; own only.
  long deferred_number = kNoCall;
  long deferred_result = 0;

  int handling = 0;  // the signal whose handler runs; own only

  bool hold_next_clone = false;         // its next thread is not started by clone; own only
  GreenThread* last_created = nullptr;  // the thread that this one's latest clone made; own only
};

// Precondition: on a worker, in a green thread.
inline GreenThread* current_thread() noexcept {
  return static_cast<GreenThread*>(rt::current_worker_unchecked()->current->owner);
}

// Last rites of a green thread's fiber: on another thread's stack, so that the C library may reuse
// this one's. Clears and wakes the tid word, for pthread_join; gives thread and fiber back.
void bury_green_thread(rt::Fiber* fiber);

class ThreadTable {
 public:
  // Registers a new thread and gives it a tid (its own field if already set). Null fiber allowed.
  GreenThread* create() noexcept;
  void add(GreenThread* thread, int tid) noexcept;
  int add_with_new_tid(GreenThread* thread) noexcept;
  // Unregisters; true if it was the last.
  bool remove(GreenThread* thread) noexcept;
  void destroy(GreenThread* thread) noexcept;

  // True if the number could be that of a green thread that was made by another, alive or not.
  static bool could_be_tid(uint32_t number) noexcept {
    return number >= kFirstTid && number < kFirstTid + kTidSpan;
  }

  // Null if there is no such green thread. The caller must know why it stays alive: it holds
  // `lock`, or runs on the only worker.
  GreenThread* find(int tid) noexcept;

  // True if a green thread of that tid clears the word when it ends: whoever joins it waits there,
  // with an operation for words that processes share, and we are who wakes it.
  bool is_tid_word(const uint32_t* word, uint32_t tid) noexcept;

  template <typename Visit>
  void for_each(Visit&& visit) {
    rt::SpinGuard guard(lock);
    for (GreenThread* t = threads_.front(); t != nullptr; t = threads_.after(t)) visit(t);
  }
  GreenThread* first() noexcept { return threads_.front(); }
  GreenThread* next(GreenThread* t) noexcept { return threads_.after(t); }

  size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  uint64_t made() const noexcept { return made_; }
  size_t peak() const noexcept { return peak_; }
  void reset_after_fork() noexcept;

  rt::SpinLock lock;

 private:
  // Green tids lie above every pid the kernel gives out (2^22), and below 2^28: the id of a
  // thread's CPU clock has room for no more (futex words use the bits from 30 on for flags).
  static constexpr uint32_t kFirstTid = 1U << 22;
  static constexpr uint32_t kTidSpan = (1U << 28) - kFirstTid;
  static uint32_t start_of_tids() noexcept;

  static constexpr size_t kBuckets = 4096;
  struct HashLink {
    GreenThread* thread;
    HashLink* next;
  };
  bool insert_hash(GreenThread* thread) noexcept;

  rt::IntrusiveList<GreenThread> threads_;  // all guarded by lock; the main thread comes first
  alignas(rt::kPageSize) HashLink* buckets_[kBuckets] = {};
  uint32_t next_tid_ = 0;
  uint64_t made_ = 0;
  size_t peak_ = 0;
  std::atomic<size_t> count_{0};
};

extern constinit ThreadTable the_threads;
inline ThreadTable& threads() noexcept { return the_threads; }

}  // namespace tendril::kernel
