#include "tendril/monitor.hpp"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "runtime/platform/syscall.hpp"
#include "runtime/sync/dead_end.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/workers.hpp"

namespace tendril {
namespace {

using Clock = std::chrono::steady_clock;

// One at a time: the monitor asks, the handler on the blocked thread writes, the monitor reads.
constexpr int kMostFrames = 64;
void* frames[kMostFrames];
std::atomic<int> frame_count{-1};
std::mutex stack_lock;

void write_stack_down(int) {
  const int saved = errno;
  frame_count.store(backtrace(frames, kMostFrames), std::memory_order_release);
  errno = saved;
}

std::vector<std::string> stack_of(int os_tid, int signal) {
  const std::lock_guard guard(stack_lock);
  frame_count.store(-1);
  if (rt::raw_syscall(SYS_tgkill, getpid(), os_tid, signal) != 0) return {};
  constexpr auto kPatience = std::chrono::milliseconds(200);  // it may be stopped, or in the kernel
  const auto give_up = Clock::now() + kPatience;
  while (frame_count.load(std::memory_order_acquire) < 0) {
    if (Clock::now() > give_up) return {};
    std::this_thread::yield();
  }
  const int count = frame_count.load();
  std::vector<std::string> stack;
  char** names = backtrace_symbols(frames, count);
  constexpr int kOurs = 2;  // the handler and the frame of the signal
  for (int i = kOurs; names != nullptr && i < count; ++i) stack.emplace_back(names[i]);
  std::free(names);
  return stack;
}

void say(const std::string& text) { rt::raw_syscall(SYS_write, 2, text.data(), text.size()); }

void report_blocked(const HubBlocked& blocked) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(blocked.blocked_for);
  std::string text = "tendril: " + blocked.name + " has kept thread " +
                     std::to_string(blocked.thread) + " from all others for " +
                     std::to_string(ms.count()) + " ms\n";
  for (const std::string& frame : blocked.stack) text += "  " + frame + "\n";
  say(text);
}

void report_memory(const MemoryUsage& memory) {
  constexpr size_t kMib = 1024 * 1024;
  say("tendril: " + std::to_string(memory.resident / kMib) + " MiB of memory are resident, " +
      (memory.exceeded ? "more than " : "again no more than ") +
      std::to_string(memory.limit / kMib) + " MiB\n");
}

}  // namespace

size_t resident_memory() {
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "/proc/self/statm");
  char text[128] = {};
  const ssize_t length = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  char* at = text;
  if (length <= 0) return 0;
  std::strtoull(at, &at, 10);  // the size of the address space
  return std::strtoull(at, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

class Monitor::Watch {
 public:
  explicit Watch(MonitorOptions options) : options_(std::move(options)) {
    if (!options_.on_blocked) options_.on_blocked = report_blocked;
    if (!options_.on_memory) options_.on_memory = report_memory;
    if (options_.stack_signal != 0) take_signal();
    detail::count_harmless_thread(1);
    thread_ = std::thread([this] { run(); });
  }

  ~Watch() {
    {
      const std::lock_guard guard(lock_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
    detail::count_harmless_thread(-1);
    if (options_.stack_signal != 0) ::sigaction(options_.stack_signal, &former_, nullptr);
  }

 private:
  // What was last seen of a worker.
  struct Seen {
    uint64_t switches = 0;
    Clock::time_point since;
    bool reported = false;
  };

  void take_signal() {
    void* first[1];
    backtrace(first, 1);  // loads what the handler must not load
    struct sigaction action {};
    action.sa_handler = write_stack_down;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(options_.stack_signal, &action, &former_) != 0) {
      throw std::system_error(errno, std::generic_category(), "the monitor's signal");
    }
  }

  void run() {
    const bool watches_hubs = options_.longest_blocking != kForever;
    const bool watches_memory = options_.most_memory != 0;
    // Often enough that a report is late by a quarter at most.
    const Duration hub_period =
        std::max<Duration>(options_.longest_blocking / 4, std::chrono::milliseconds(1));
    auto next_hub = Clock::now();
    auto next_memory = next_hub;
    std::unique_lock guard(lock_);
    while (!over_) {
      const auto now = Clock::now();
      guard.unlock();
      if (watches_hubs && now >= next_hub) {
        look_at_workers(now);
        next_hub = now + hub_period;
      }
      if (watches_memory && now >= next_memory) {
        look_at_memory();
        next_memory = now + options_.memory_period;
      }
      guard.lock();
      if (over_) return;
      if (!watches_hubs && !watches_memory) {
        changed_.wait(guard);
      } else if (!watches_memory) {
        changed_.wait_until(guard, next_hub);
      } else {
        changed_.wait_until(guard, watches_hubs ? std::min(next_hub, next_memory) : next_memory);
      }
    }
  }

  void look_at_workers(Clock::time_point now) {
    for (detail::KnownWorker* k = detail::known_workers(); k != nullptr; k = k->next) {
      if (!k->alive.load()) continue;
      Seen& seen = seen_[k->worker];
      const uint64_t switches = detail::switches_of(k->worker);
      if (seen.switches != switches || detail::is_on_hub(k->worker)) {
        seen = {switches, now, false};
      } else if (!seen.reported && now - seen.since >= options_.longest_blocking) {
        seen.reported = true;
        report(k->worker, now - seen.since);
      }
    }
  }

  void report(const rt::Worker* worker, Duration blocked_for) {
    const uint64_t switches = detail::switches_of(worker);
    for (const detail::SeenFiber& fiber : detail::look_at_fibers(nullptr)) {
      if (fiber.worker != worker || fiber.state != rt::FiberState::kRunning) continue;
      HubBlocked blocked;
      blocked.fiber = fiber.handle;
      blocked.name = fiber.handle          ? detail::describe_task(*fiber.handle.task())
                     : fiber.begins_thread ? "main"
                                           : "a greenlet";
      blocked.thread = fiber.tid;
      blocked.blocked_for = blocked_for;
      if (options_.stack_signal != 0) {
        blocked.stack = stack_of(worker->os_tid, options_.stack_signal);
      }
      if (detail::switches_of(worker) == switches) options_.on_blocked(blocked);
      return;
    }
  }

  void look_at_memory() {
    const size_t resident = resident_memory();
    const bool exceeded = resident > options_.most_memory;
    if (exceeded != std::exchange(exceeded_, exceeded)) {
      options_.on_memory({resident, options_.most_memory, exceeded});
    }
  }

  MonitorOptions options_;
  struct sigaction former_ {};
  std::mutex lock_;
  std::condition_variable changed_;
  bool over_ = false;  // guarded by lock_
  // The thread's own:
  std::unordered_map<const rt::Worker*, Seen> seen_;
  bool exceeded_ = false;
  std::thread thread_;
};

Monitor::Monitor(MonitorOptions options) : watch_(std::make_unique<Watch>(std::move(options))) {}

Monitor::~Monitor() = default;

}  // namespace tendril
