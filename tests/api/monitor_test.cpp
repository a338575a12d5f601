#include "tendril/monitor.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "clean.hpp"
#include "runtime/hub/interposed.hpp"

using namespace std::chrono_literals;
using tendril::HubBlocked;
using tendril::MemoryUsage;

namespace {

// Events of a monitor, which come on its own thread.
template <typename Event>
class Events {
 public:
  auto collector() {
    return [this](const Event& event) {
      const std::lock_guard guard(lock_);
      events_.push_back(event);
      count_.store(events_.size());
    };
  }
  size_t count() const { return count_.load(); }
  Event at(size_t index) {
    const std::lock_guard guard(lock_);
    return events_.at(index);
  }

 private:
  std::mutex lock_;
  std::vector<Event> events_;
  std::atomic<size_t> count_{0};
};

// Computes until the condition holds, or for long.
template <typename Condition>
bool computes_until(Condition holds) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
  }
  return true;
}

// Memory that goes back to the kernel at once, under a sanitizer too.
class Pages {
 public:
  explicit Pages(size_t size) : size_(size) {
    memory_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory_ != MAP_FAILED);
    std::memset(memory_, 'x', size);
  }
  ~Pages() { munmap(memory_, size_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

 private:
  void* memory_;
  size_t size_;
};

}  // namespace

TEST_CASE("a fiber that does not let others run is reported once, with name and stack") {
  if (tendril::rt::is_interposed()) return;  // it is preempted there
  Clean clean;
  Events<HubBlocked> events;
  {
    tendril::MonitorOptions options;
    options.longest_blocking = 10ms;
    options.stack_signal = SIGURG;
    options.on_blocked = events.collector();
    tendril::Monitor monitor(options);
    tendril::sleep(30ms);  // a hub that sleeps is not blocked
    CHECK(events.count() == 0);
    auto hog = tendril::spawn({.name = "hog"}, [&] {
      CHECK(computes_until([&] { return events.count() > 0; }));
      const auto end = std::chrono::steady_clock::now() + 30ms;
      computes_until([&] { return std::chrono::steady_clock::now() > end; });
    });
    hog.join();
    REQUIRE(events.count() == 1);
    const HubBlocked blocked = events.at(0);
    CHECK(blocked.name.starts_with("hog (spawned at monitor_test.cpp:"));
    CHECK(blocked.fiber == hog);
    CHECK(blocked.thread == gettid());
    CHECK(blocked.blocked_for >= 10ms);
    CHECK(blocked.stack.size() > 2);
  }
}

TEST_CASE("fibers that yield block nobody") {
  Clean clean;
  Events<HubBlocked> events;
  {
    tendril::MonitorOptions options;
    options.longest_blocking = 2s;
    options.on_blocked = events.collector();
    tendril::Monitor monitor(options);
    const auto end = std::chrono::steady_clock::now() + 50ms;
    while (std::chrono::steady_clock::now() < end) tendril::yield();
  }
  CHECK(events.count() == 0);
}

TEST_CASE("memory beyond the threshold is reported, and when it is below again") {
  Clean clean;
  Events<MemoryUsage> events;
  constexpr size_t kMuch = 64 << 20;
  {
    tendril::MonitorOptions options;
    options.longest_blocking = tendril::kForever;
    options.most_memory = tendril::resident_memory() + kMuch / 2;
    options.memory_period = 1ms;
    options.on_memory = events.collector();
    tendril::Monitor monitor(options);
    {
      const Pages much(kMuch);
      while (events.count() < 1) tendril::sleep(1ms);
      CHECK(events.at(0).exceeded);
      CHECK(events.at(0).resident > events.at(0).limit);
      CHECK(events.at(0).limit == options.most_memory);
    }
    while (events.count() < 2) tendril::sleep(1ms);
    CHECK(!events.at(1).exceeded);
  }
  CHECK(events.count() == 2);
}

TEST_CASE("a monitor does not hide a dead end") {
  if (tendril::rt::is_interposed()) return;  // where it is a thread that sleeps
  Clean clean;
  tendril::Monitor monitor;
  tendril::Event event;
  CHECK_THROWS_AS(event.wait(), tendril::LoopExit);
}
