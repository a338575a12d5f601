#include "interpose/kernel/deadlock.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>

#include "interpose/kernel/failure_report.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/stack_printer.hpp"
#include "interpose/kernel/standstill.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/embedded_loop.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr size_t kMostShown = 50;

bool exits = false;
std::atomic<unsigned> looks_wanted{0};
uint64_t told = 0;  // fingerprint of the latest that was told; of the worker's that looks

uint64_t all_switches() noexcept {
  uint64_t switches = 0;
  workers().for_each_worker([&](const rt::Worker& worker) {
    switches += std::atomic_ref(const_cast<uint64_t&>(worker.stats.switches))
                    .load(std::memory_order_relaxed);
  });
  return switches;
}

Report& put_thread(Report& report, int tid, const char* name) noexcept {
  report.text("thread ").number(tid);
  if (name[0] != '\0') report.text(" \"").text(name).text("\"");
  return report;
}

void report_thread(const Standstill& threads, const StandingThread& thread) noexcept {
  using Kind = WaitObject::Kind;
  const WaitObject& object = thread.object;
  Report report;
  put_thread(report.text("tendril:   "), thread.tid, thread.name).text(" waits for the ");
  switch (object.kind) {
    case Kind::kMutex:
      report.text("mutex at ");
      break;
    case Kind::kRwlock:
      report.text("read-write lock at ");
      break;
    case Kind::kThread:
      report.text("end of ");
      break;
    case Kind::kCondition:
      report.text("condition at ");
      break;
    case Kind::kSemaphore:
      report.text("semaphore at ");
      break;
    case Kind::kFutex:
      report.text("futex at ");
      break;
  }
  if (object.kind != Kind::kThread) report.hex(object.address);
  if (thread.waits_for >= 0) {
    const StandingThread& other = threads[static_cast<size_t>(thread.waits_for)];
    if (object.kind != Kind::kThread) report.text(", held by ");
    put_thread(report, other.tid, other.name);
    if (other.tid == thread.tid) report.text(", itself");
  } else if (object.tid != 0) {
    report.text(", held by thread ").number(object.tid).text(", which has ended");
  }
  report.send();
}

// "cycle: 1 waits for 2 waits for 1", as far as the line goes.
void report_cycle(const Standstill& threads) noexcept {
  constexpr int kMostOfCycle = 16;
  const auto first = static_cast<size_t>(threads.cycle());
  Report report;
  report.text("tendril:   cycle: ").number(threads[first].tid);
  size_t at = first;
  for (int i = 0; i < kMostOfCycle; ++i) {
    at = static_cast<size_t>(threads[at].waits_for);
    report.text(" -> ").number(threads[at].tid);
    if (at == first) break;
  }
  if (at != first) report.text(" -> ...");
  report.send();
}

// Those of the cycle first.
template <typename Visit>
void for_each_shown(const Standstill& threads, Visit&& visit) noexcept {
  size_t shown = 0;
  for (const bool in_cycle : {true, false}) {
    for (size_t i = 0; i < threads.count() && shown < kMostShown; ++i) {
      if (threads[i].in_cycle != in_cycle) continue;
      ++shown;
      visit(threads[i]);
    }
  }
}

void report_standstill(const Standstill& threads) noexcept {
  Report headline;
  headline.text("tendril: deadlock: nothing can wake ");
  if (threads.count() == 1) {
    headline.text("the only thread");
  } else {
    headline.text("any of ").number(static_cast<long long>(threads.count())).text(" threads");
  }
  headline.send();
  for_each_shown(threads, [&](const StandingThread& t) { report_thread(threads, t); });
  if (threads.count() > kMostShown) {
    Report()
        .text("tendril:   and ")
        .number(static_cast<long long>(threads.count() - kMostShown))
        .text(" more")
        .send();
  }
  if (threads.cycle() >= 0) report_cycle(threads);
  StackPrinter printer;
  for_each_shown(threads,
                 [&](const StandingThread& t) { printer.add(t.tid, t.name, t.call_site); });
  printer.print();
}

// OS threads that are neither workers nor the runtime's own may wake whom they want. Unknown counts
// as there.
bool other_os_threads_exist() noexcept {
  struct stat tasks;
  if (rt::raw_syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) != 0) return true;
  size_t ours = rt::offload_threads() + rt::embedded_loop_threads() + workers().watchdog_threads();
  workers().for_each_worker([&](const rt::Worker&) { ++ours; });
  constexpr size_t kLinksOfAnEmptyDirectory = 2;
  return tasks.st_nlink != ours + kLinksOfAnEmptyDirectory;
}

bool embedded_loop_has_work() noexcept {
  bool found = false;
  workers().for_each_worker([&](const rt::Worker& w) { found = found || w.loop_is_alive(); });
  return found;
}

// Whether all sleep is known of one moment, and the threads are looked at one after another. If a
// worker has woken in between, to run a thread that had been ready already, then that thread may
// have woken another after that was looked at; but its switch was counted before.
void look() noexcept {
  const uint64_t switches = all_switches();
  if (!workers().everybody_sleeps() || workers().nearest_timer() != rt::kForever ||
      !may_be_standstill() || embedded_loop_has_work() || other_os_threads_exist()) {
    return;
  }
  Standstill threads;
  if (!threads.look() || all_switches() != switches) return;
  if (!threads.is_final() && signals().handler_may_run()) return;
  const uint64_t fingerprint = threads.fingerprint();
  if (fingerprint == told || threads.reaches_other_processes()) return;
  told = fingerprint;
  report_standstill(threads);
  if (exits) sys_exit_group(kDeadlockStatus);  // says the seed, too
  report_seed_of_failure();
}

// Several workers may be the last at once. Who comes while another looks leaves it to that one to
// look again.
void on_standstill(rt::Worker*) noexcept {
  if (looks_wanted.fetch_add(1, std::memory_order_acq_rel) != 0) return;
  unsigned done = 1;
  for (;;) {
    look();
    const unsigned wanted = looks_wanted.fetch_sub(done, std::memory_order_acq_rel);
    if (wanted == done) return;
    done = wanted - done;
  }
}

}  // namespace

void watch_for_deadlocks(bool exit_then) noexcept {
  exits = exit_then;
  looks_wanted.store(0, std::memory_order_relaxed);  // the child of fork begins anew
  told = 0;
  rt::process().hooks.on_standstill = on_standstill;
}

}  // namespace tendril::kernel
