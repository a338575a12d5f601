#include "runtime/hub/offload.hpp"

#include <linux/futex.h>

#include <atomic>
#include <cerrno>
#include <new>

#include "runtime/hub/bare_thread.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/switch_duties.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/protection_keys.hpp"
#include "runtime/platform/spin_lock.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/platform/thread_registers.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kStackSize = 32 * 1024;
constexpr size_t kMostThreads = 1024;  // beyond: jobs wait for a thread
constexpr Nanoseconds kIdleSeconds = 5;
// While a job waits for a thread that could not be made, it asks for one so often. Those that there
// are may all wait for something that only this job brings about.
constexpr Nanoseconds kBetweenAttempts = 5'000'000;
constexpr size_t kMostIdle = 4;  // more than these end at once: a burst leaves no crowd behind

struct Job {
  long number;
  long arguments[6];
  long result = 0;
  volatile int aborted = 0;
  WaitToken token;
  Job* next = nullptr;
  uint32_t key_rights = 0;  // of who asks, where they are kept
  siginfo_t raised{};       // by the call; si_signo 0: nothing
  // Guarded by the pool's lock:
  int thread = 0;  // tid that runs it, 0 before and after
  bool queued = false;
  bool done = false;
};

// One OS thread and its memory, which is reused when the thread has gone.
struct PoolThread {
  BareThread thread;
  std::atomic<uint32_t> wake{0};  // futex: 1 when a job was given
  Job* job = nullptr;
  PoolThread* next = nullptr;   // list of idle or of ended threads
  PoolThread* older = nullptr;  // list of all that were ever made
  uint32_t made_in = 0;         // Pool::generation when it was made
  bool calls = false;           // is in a call; guarded by the pool's lock
};

struct Pool {
  SpinLock lock;  // guards all below
  PoolThread* idle = nullptr;
  PoolThread* ended = nullptr;
  PoolThread* newest = nullptr;
  Job* queue_head = nullptr;
  Job* queue_tail = nullptr;
  size_t threads = 0;
  size_t idle_threads = 0;
  uint32_t generation = 0;  // of credentials
  std::atomic<bool> here{false};
};

Pool& pool() noexcept {
  static constinit Pool instance;
  return instance;
}

// Whose call a pool thread makes.
thread_local Job* running_job = nullptr;

// All but the interrupt signal, and what filters of an interposed program raise.
uint64_t blocked_signals() noexcept {
  constexpr uint64_t kSigsys = uint64_t{1} << (SIGSYS - 1);
  return ~(interrupt_signal_bit() | (calls_are_interruptible() ? kSigsys : 0));
}

void futex_wake(std::atomic<uint32_t>* word) noexcept {
  raw_syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void run(PoolThread* self, Job* job) noexcept {
  {
    SpinGuard guard(pool().lock);
    job->thread = self->thread.tid;
    self->calls = true;
  }
  if (keeps_key_rights()) write_key_rights(job->key_rights);
  running_job = job;
  do {  // an interrupt may come late and be meant for the job before
    job->result = interruptible_call(&job->aborted, job->number, job->arguments);
  } while (job->result == -EINTR && job->aborted == 0);
  running_job = nullptr;
  WaitToken token;
  {
    // From here on an interrupt finds no thread to signal, and the job may be gone after the wake.
    SpinGuard guard(pool().lock);
    job->thread = 0;
    self->calls = false;
    job->done = true;
    token = job->token;
  }
  wake(token);
}

// Precondition: pool lock. The record is reused once the kernel has cleared its tid.
void retire(PoolThread* self) noexcept {
  self->next = pool().ended;
  pool().ended = self;
  --pool().threads;
}

// Precondition: pool lock held.
Job* pop_job() noexcept {
  Job* job = pool().queue_head;
  if (job == nullptr) return nullptr;
  pool().queue_head = job->next;
  job->queued = false;
  return job;
}

// Gives the thread its next job, or puts it to sleep; null: it has been idle for too long.
Job* next_job(PoolThread* self) noexcept {
  {
    SpinGuard guard(pool().lock);
    if (self->made_in != pool().generation) {
      retire(self);
      return nullptr;
    }
    if (Job* job = pop_job(); job != nullptr) return job;
    if (pool().idle_threads >= kMostIdle) {
      retire(self);
      return nullptr;
    }
    ++pool().idle_threads;
    self->job = nullptr;
    self->wake.store(0, std::memory_order_relaxed);
    self->next = pool().idle;
    pool().idle = self;
  }
  const timespec limit = to_timespec(kIdleSeconds * kNanosPerSecond);
  while (self->wake.load(std::memory_order_acquire) == 0) {
    const long result =
        raw_syscall(SYS_futex, &self->wake, FUTEX_WAIT_PRIVATE, 0, &limit, nullptr, 0);
    if (result != -ETIMEDOUT) continue;
    SpinGuard guard(pool().lock);
    if (self->wake.load(std::memory_order_acquire) != 0) break;
    for (PoolThread** link = &pool().idle; *link != nullptr; link = &(*link)->next) {
      if (*link != self) continue;
      *link = self->next;
      --pool().idle_threads;
      break;
    }
    retire(self);
    return nullptr;
  }
  return self->job;
}

void thread_main(void* argument) {
  auto* self = static_cast<PoolThread*>(argument);
  while (Job* job = self->job) {
    run(self, job);
    self->job = next_job(self);
  }
}

PoolThread* make_thread_record() noexcept {
  for (PoolThread** link = &pool().ended; *link != nullptr; link = &(*link)->next) {
    PoolThread* ended = *link;
    if (!ended->thread.has_ended()) continue;
    *link = ended->next;
    return ended;
  }
  BareThread thread;
  void* memory = prepare_bare_thread(kStackSize, &thread);
  if (memory == nullptr) return nullptr;
  auto* record = new (memory) PoolThread;  // at the bottom of the stack's mapping
  record->thread = thread;
  record->older = pool().newest;
  pool().newest = record;
  return record;
}

// Precondition: pool lock held. True if a thread took the job.
bool start_thread(Job* job) noexcept {
  PoolThread* thread = make_thread_record();
  if (thread == nullptr) return false;
  thread->job = job;
  if (start_bare_thread(&thread->thread, thread_main, thread, blocked_signals()) < 0) {
    thread->next = pool().ended;
    pool().ended = thread;
    return false;
  }
  thread->made_in = pool().generation;
  ++pool().threads;
  return true;
}

// Gives the job to a thread, or queues it: true.
bool submit(Job* job) noexcept {
  SpinGuard guard(pool().lock);
  if (PoolThread* thread = pool().idle; thread != nullptr) {
    pool().idle = thread->next;
    --pool().idle_threads;
    thread->job = job;
    thread->wake.store(1, std::memory_order_release);
    futex_wake(&thread->wake);
    return false;
  }
  if (pool().threads < kMostThreads && start_thread(job)) return false;
  job->queued = true;
  if (pool().queue_head == nullptr) {
    pool().queue_head = job;
  } else {
    pool().queue_tail->next = job;
  }
  pool().queue_tail = job;
  return true;
}

// Precondition: pool lock held, and a job queued. One more thread, for who has waited longest.
void make_thread_for_queue() noexcept {
  if (pool().threads >= kMostThreads) return;
  Job* first = pool().queue_head;
  if (start_thread(first)) pop_job();
}

// The fiber was interrupted: the job must end soon. Returns true if it never began.
bool abort_job(Job* job) noexcept {
  SpinGuard guard(pool().lock);
  job->aborted = 1;
  if (job->thread != 0 && calls_are_interruptible()) {
    interrupt_call(job->thread);
    return false;
  }
  if (!job->queued) return false;
  for (Job** link = &pool().queue_head; *link != nullptr; link = &(*link)->next) {
    if (*link != job) continue;
    *link = job->next;
    job->queued = false;
    if (pool().queue_tail == job) {
      pool().queue_tail = pool().queue_head;
      while (pool().queue_tail != nullptr && pool().queue_tail->next != nullptr) {
        pool().queue_tail = pool().queue_tail->next;
      }
    }
    return true;
  }
  return false;
}

// The job has been submitted, and its wait is open.
long outcome_of(Job& job, bool queued) noexcept {
  for (;;) {
    // What is not queued is in the hands of a thread, and does not go back to the queue.
    const WakeReason reason = park(queued ? deadline_after(kBetweenAttempts) : kForever);
    if (reason == WakeReason::kWoken) return job.result;
    const bool interrupted = reason != WakeReason::kTimeout;
    bool done;
    {
      // The pool thread reads the token and says "done" under this lock: it saw the new token, or
      // we see that it is done.
      SpinGuard guard(pool().lock);
      job.token = begin_wait(WaitKind::kOffload, nullptr, /*shielded=*/interrupted);
      done = job.done;
      if (job.queued && !interrupted) make_thread_for_queue();
      queued = job.queued;
    }
    if (done) {
      if (!cancel_wait(job.token)) park(kForever);
      return job.result;
    }
    if (!interrupted) continue;
    if (abort_job(&job)) {
      if (!cancel_wait(job.token)) park(kForever);
      return -EINTR;
    }
    park(kForever);
    return job.result;
  }
}

}  // namespace

long offload(long number, long a, long b, long c, long d, long e, long f) noexcept {
  // What it was bound for holds on its own thread only.
  Worker* worker = current_worker_unchecked();
  if (worker->reserved || pool().here.load(std::memory_order_relaxed)) {
    return worker->call_here(number, {a, b, c, d, e, f});
  }
  Job job{number, {a, b, c, d, e, f}, 0, 0, {}};
  if (keeps_key_rights()) job.key_rights = read_key_rights();
  job.token = begin_wait(WaitKind::kOffload, nullptr);
  const bool queued = submit(&job);
  const long result = outcome_of(job, queued);
  if (job.raised.si_signo != 0) process().hooks.on_signal_of_call(job.raised);
  return result;
}

bool leave_signal_to_caller(const siginfo_t& info) noexcept {
  if (running_job == nullptr || process().hooks.on_signal_of_call == nullptr) return false;
  running_job->raised = info;
  return true;
}

void offload_retire_threads() noexcept {
  SpinGuard guard(pool().lock);
  ++pool().generation;
  // The idle ones wake up without a job, which ends them; the busy ones see it when they are done.
  while (PoolThread* thread = pool().idle) {
    pool().idle = thread->next;
    --pool().idle_threads;
    thread->job = nullptr;
    retire(thread);
    thread->wake.store(1, std::memory_order_release);
    futex_wake(&thread->wake);
  }
}

void offload_here(bool here) noexcept { pool().here.store(here, std::memory_order_relaxed); }

bool offload_has_lost_thread() noexcept {
  SpinGuard guard(pool().lock);
  for (const PoolThread* thread = pool().newest; thread != nullptr; thread = thread->older) {
    if (thread->calls && thread->thread.has_ended()) return true;
  }
  return false;
}

size_t offload_threads() noexcept {
  SpinGuard guard(pool().lock);
  return pool().threads;
}

SpinLock& offload_lock() noexcept { return pool().lock; }

void offload_reset_after_fork() noexcept {
  pool().lock.reset_after_fork();
  pool().idle = nullptr;
  pool().ended = nullptr;
  pool().newest = nullptr;
  pool().queue_head = nullptr;
  pool().threads = 0;
  pool().idle_threads = 0;
  pool().here = false;
}

}  // namespace tendril::rt
