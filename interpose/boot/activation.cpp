#include "interpose/kernel/activation.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <utility>

#include "interpose/boot/settings.hpp"
#include "interpose/kernel/aside.hpp"
#include "interpose/kernel/credentials.hpp"
#include "interpose/kernel/deadlock.hpp"
#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/job_control.hpp"
#include "interpose/kernel/kick_stacks.hpp"
#include "interpose/kernel/mappings.hpp"
#include "interpose/kernel/nonblocking_moment.hpp"
#include "interpose/kernel/posix_timers.hpp"
#include "interpose/kernel/protection_keys.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/scheduling.hpp"
#include "interpose/kernel/seccomp_filter.hpp"
#include "interpose/kernel/signal_descriptors.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/stack_arena.hpp"
#include "interpose/kernel/stack_printer.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "interpose/kernel/thread_limit.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/patch/patcher.hpp"
#include "interpose/symbols/libc.hpp"
#include "interpose/trap/hidden_fsgsbase.hpp"
#include "interpose/trap/selector.hpp"
#include "interpose/trap/trap.hpp"
#include "runtime/hub/accept_ring.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/hub/shared_futex.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/memory/stack_pool.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

thread_local bool is_green_thread = false;
thread_local bool is_making_thread = false;

namespace {

bool active = false;

void report_patches(const patch::Outcome& outcome) noexcept {
  Report report;
  report.text("tendril: process ").number(rt::raw_syscall(SYS_getpid)).text(" is green; ");
  report.number(static_cast<long long>(outcome.patched)).text(" of ");
  report.number(static_cast<long long>(outcome.sites)).text(" system call sites in ");
  report.number(static_cast<long long>(outcome.objects)).text(" objects patched");
  if (outcome.why_not != nullptr) report.text(" (").text(outcome.why_not).text(")");
  report.text(", the rest by trap").send();
}

[[noreturn]] void give_up(const char* why, long error) noexcept {
  Report report;
  report.text("tendril: cannot run this process green: ").text(why);
  if (error != 0) report.text(" (error ").number(error < 0 ? -error : error).text(")");
  report.text("; see `tendril check`");
  report.send();
  for (;;) rt::raw_syscall(SYS_exit_group, 126);
}

// --- a thread control block for the hub ---
//
// The hub runs libuv and may allocate: it needs thread-locals of its own, laid out by glibc. So a
// thread is made natively, tells us its FS base and ends as far as the kernel is concerned; glibc
// goes on believing in it, and its block stays.

struct Donor {
  uintptr_t fs_base = 0;
  long tid = 0;
  std::atomic<uint32_t> done{0};
};

void* donate(void* argument) {
  auto* donor = static_cast<Donor*>(argument);
  donor->fs_base = rt::get_fs_base();
  donor->tid = rt::raw_syscall(SYS_gettid);
  // The kernel must neither clear the tid (glibc would reuse the block) nor walk a robust list.
  rt::raw_syscall(SYS_set_tid_address, nullptr);
  rt::raw_syscall(SYS_set_robust_list, nullptr, 24);
  donor->done.store(1, std::memory_order_release);
  rt::raw_syscall(SYS_futex, &donor->done, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  rt::raw_syscall(SYS_exit, 0);
  return nullptr;
}

// Made, and not in use: a later step of going green has failed in this process.
struct SpareBlock {
  uintptr_t fs_base = 0;
  long pid = 0;  // a child of fork cannot use its parent's
} spare_block;

// 0 when there is no memory or no kernel thread for it.
uintptr_t make_hub_control_block() noexcept {
  const long pid = rt::raw_syscall(SYS_getpid);
  if (spare_block.pid == pid) return std::exchange(spare_block, {}).fs_base;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  Donor donor;
  pthread_t thread;
  const int error = symbols::libc_pthread_create(&thread, &attributes, donate, &donor);
  pthread_attr_destroy(&attributes);
  if (error != 0) return 0;
  while (donor.done.load(std::memory_order_acquire) == 0) {
    rt::raw_syscall(SYS_futex, &donor.done, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
  // Whoever counts the process's OS threads from here on finds those that are there to stay.
  rt::Backoff backoff;
  while (rt::raw_syscall(SYS_tgkill, pid, donor.tid, 0) == 0) backoff.yield();
  // It never ends for glibc, which must not wait for it: the last thread's pthread_exit is exit(0).
  if (void* count = dlvsym(RTLD_DEFAULT, "__nptl_nthreads", "GLIBC_PRIVATE"); count != nullptr) {
    std::atomic_ref(*static_cast<unsigned*>(count)).fetch_sub(1);
  }
  return donor.fs_base;
}

// The word that the kernel would clear when this thread ends: pthread_join of the main thread waits
// on it.
uint32_t* tid_address_of_caller() noexcept {
  constexpr long kPrGetTidAddress = 40;
  uint32_t* address = nullptr;
  rt::raw_syscall(SYS_prctl, kPrGetTidAddress, &address);
  return address;
}

// Children that exist now may share our open files; those made later are seen.
void look_for_children() noexcept {
  const long fd = rt::raw_syscall(SYS_open, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  char first;
  if (fd < 0 || rt::raw_syscall(SYS_read, fd, &first, 1) != 0) note_child_made();
  if (fd >= 0) rt::raw_syscall(SYS_close, fd);
}

int slice_microseconds() noexcept {
  const boot::Settings& settings = boot::settings();
  return settings.seeded ? 0 : settings.slice_microseconds;
}

bool arm_worker(rt::Worker* worker) noexcept {
  WorkerState* state = trap::prepare(slice_microseconds());
  if (state == nullptr) return false;
  if (!trap::arm(worker, state, slice_microseconds())) give_up("cannot arm the trap", 0);
  return true;
}

void on_hub_turn(rt::Worker*) noexcept {
  post_arrived_signals();
  signals().look_after_kernel();
}

// A filter that was there before the first thread kills OS threads, of which the runtime can spare
// none: on the watchdog's, which holds no lock.
void die_of_lost_thread() noexcept {
  Report()
      .text(
          "tendril: a seccomp filter that this process has had since before its first thread has ")
      .text("killed an OS thread that others need")
      .send();
  const KernelAction plain{};
  rt::raw_syscall(SYS_rt_sigaction, SIGSYS, &plain, nullptr, 8);
  const uint64_t unblock = signal_bit(SIGSYS);
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &unblock, nullptr, 8);
  rt::raw_syscall(SYS_tgkill, rt::raw_syscall(SYS_getpid), rt::raw_syscall(SYS_gettid), SIGSYS);
  for (;;) rt::raw_syscall(SYS_exit_group, SIGSYS);  // the init process of a PID namespace
}

}  // namespace

bool is_active() noexcept { return active; }

bool activate() noexcept {
  if (active) return true;
  const boot::Settings& settings = boot::settings();
  bool is_filtered;
  if (const char* forbidden = forbidden_in_this_process(&is_filtered); forbidden != nullptr) {
    Report()
        .text("tendril: cannot run this process green: its seccomp filter forbids ")
        .text(forbidden)
        .send();
    for (;;) rt::raw_syscall(SYS_exit_group, 126);
  }
  if (!trap::is_available()) give_up("the kernel has no Syscall User Dispatch (Linux 5.11)", 0);
  if (settings.seeded) {
    if (settings.workers > 1)
      give_up("TENDRIL_SEED takes one worker, TENDRIL_WORKERS says more", 0);
    rt::seeded_schedule().begin(settings.seed);
  }
  if (settings.stack_size != 0) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, settings.stack_size);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  // All that may not be had comes before anything that cannot be undone.
  WorkerState* worker_state = trap::prepare(slice_microseconds());
  if (worker_state == nullptr) return false;
  const uintptr_t hub_block = make_hub_control_block();
  if (hub_block == 0) {
    trap::discard(worker_state);
    return false;
  }
  trap::look_for_hidden_fsgsbase(hub_block);
  GreenThread* main = threads().create();
  rt::Fiber* fiber = rt::take_fiber();
  if (main == nullptr || fiber == nullptr || !rt::Worker::prepare()) {
    if (main != nullptr) threads().destroy(main);
    if (fiber != nullptr) rt::give_back_fiber(fiber);
    spare_block = {hub_block, rt::raw_syscall(SYS_getpid)};
    trap::discard(worker_state);
    return false;
  }
  if (settings.patch) patch::find_objects();
  main->fiber = fiber;
  fiber->owner = main;
  fiber->last_rites = bury_green_thread;
  rt::adopt_current_thread(*fiber, /*shared=*/false);
  // What the kernel knows about this thread and we are to answer from now on.
  const long tid = rt::raw_syscall(SYS_gettid);
  main->clear_child_tid = tid_address_of_caller();
  size_t robust_size;
  rt::raw_syscall(SYS_get_robust_list, 0, &main->robust_list, &robust_size);
  constexpr long kPrGetName = 16;
  rt::raw_syscall(SYS_prctl, kPrGetName, main->name);
  __builtin_memcpy(fiber->name, main->name, sizeof main->name);
  import_scheduling(&main->scheduling);
  threads().add(main, static_cast<int>(tid));

  note_thread_limit();
  forbid_threads(false);  // one has just been made
  look_for_children();
  keep_report_descriptor(/*beyond_close=*/settings.statistics);
  signals().import_from_kernel(main);  // everything is blocked until the worker is armed
  import_signal_descriptors();
  import_protection_keys();
  int error;
  rt::Worker* worker = rt::Worker::adopt_this_thread(fiber, nullptr, hub_block, &error);
  if (worker == nullptr) give_up("no worker", error);
  rt::begin_cpu_account(*worker, *fiber);
  // A child of fork has its parent's patches, and may have opened more. Written before there is
  // another OS thread, whose core would have to be told of each page.
  if (settings.patch) {
    const patch::Outcome outcome = patch::apply();
    if (settings.verbose) report_patches(outcome);
  }
  trap::install(slice_microseconds());
  rt::set_interrupt_signal(kKickSignal);  // which the watchdog, started now, is to let through
  if (is_filtered) {
    rt::process().hooks.on_lost_thread = die_of_lost_thread;
    workers().expect_losses();
  }
  if (settings.io_uring == boot::IoUring::kAlways ||
      (settings.io_uring == boot::IoUring::kUnlessFiltered && !is_filtered)) {
    rt::allow_shared_futex_ring();
    rt::allow_accept_ring();
  }
  workers().open(worker, static_cast<size_t>(settings.workers), arm_worker, trap::disarm);
  rt::process().add_fiber(fiber);
  rt::process().hooks.on_hub_turn = on_hub_turn;
  find_stack_printer();
  watch_for_deadlocks(settings.exit_on_deadlock);
  is_green_thread = true;
  active = true;
  if (!trap::arm(worker, worker_state, slice_microseconds())) give_up("cannot arm the trap", 0);
  trap::leave_runtime();
  return true;
}

uint64_t deactivate_in_child() noexcept {
  GreenThread* survivor = current_thread();
  rt::Worker* worker = rt::current_worker_unchecked();
  active = false;
  is_green_thread = false;
  rt::on_worker = false;
  uint64_t mask;
  carry_scheduling_over(survivor->scheduling);
  rt::runtime_allocator_reset_after_fork();  // the others give memory back
  signals().reset_after_fork();
  signals().export_to_kernel(survivor, &mask);
  rt::fiber_pool_reset_after_fork();
  rt::default_stacks().reset_after_fork();
  kick_stacks().reset_after_fork();
  rt::Worker::hub_stacks().reset_after_fork();
  rt::Worker::retired_workers_lock().reset_after_fork();
  rt::process().reset_after_fork();
  rt::offload_reset_after_fork();
  rt::shared_futexes_reset_after_fork();
  rt::accept_ring_reset_after_fork();
  worker->poller->abandon_after_fork();
  worker->forget_after_fork();
  workers().reset_after_fork();
  rt::cpu_times_reset_after_fork(*worker, *survivor->fiber);
  worker_calls_lock().reset_after_fork();
  job_control_lock().reset_after_fork();
  nonblocking_moments_reset_after_fork();
  scheduling_calls_reset_after_fork();
  credentials_reset_after_fork();
  threads().reset_after_fork();
  futexes().reset_after_fork();
  mappings_reset_after_fork();
  descriptors().reset_after_fork();
  stack_arenas().reset_after_fork();
  posix_timers().reset_after_fork();
  aside_reset_after_fork();
  reset_report_descriptor_after_fork();
  return mask;
}

void report_statistics() noexcept {
  if (!boot::settings().statistics || !active) return;
  rt::WorkerStats stats;
  size_t count = 0;
  workers().for_each_worker([&](const rt::Worker& worker) {
    ++count;
    stats.add(worker.stats);
  });
  Report()
      .text("tendril: stats: workers ")
      .number(static_cast<long long>(count))
      .text(", threads ")
      .number(static_cast<long long>(threads().made()))
      .text(", peak ")
      .number(static_cast<long long>(threads().peak()))
      .text(", switches ")
      .number(static_cast<long long>(stats.switches))
      .text(" (preemptions ")
      .number(static_cast<long long>(stats.preemptions))
      .text(", stolen ")
      .number(static_cast<long long>(stats.stolen))
      .text(", blocked ")
      .number(static_cast<long long>(workers().watchdog().blocked_workers_seen()))
      .text("), calls: symbol ")
      .number(static_cast<long long>(stats.calls_by_symbol))
      .text(", patch ")
      .number(static_cast<long long>(stats.calls_by_patch))
      .text(", trap ")
      .number(static_cast<long long>(stats.calls_by_trap))
      .text(", of these passed ")
      .number(static_cast<long long>(stats.calls_passed))
      .text(", hub wake-ups ")
      .number(static_cast<long long>(stats.hub_turns))
      .text(" (sleeps ")
      .number(static_cast<long long>(stats.hub_sleeps))
      .text("), longest without hub ")
      .fixed(static_cast<uint64_t>(stats.longest_without_hub) / 1000, 3)
      .text(" ms")
      .send();
}

}  // namespace tendril::kernel
