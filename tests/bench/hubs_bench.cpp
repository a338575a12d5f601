// What it costs to pass things between two OS threads: fibers on two hubs, and the same program of
// plain threads with a mutex and condition variables.
//
//   hubs_bench fibers|threads queue|events|mutex
//
// Prints `metric=value`, times in nanoseconds.
#include <tendril/tendril.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kMeasure = std::chrono::milliseconds(500);
constexpr size_t kRoom = 1024;  // of the queue

void print(const char* metric, Clock::time_point began, long count) {
  const std::chrono::duration<double, std::nano> took = Clock::now() - began;
  std::printf("%s=%.1f\n", metric, took.count() / static_cast<double>(count));
}

// --- the plain peers ---

class PlainQueue {
 public:
  void put(int item) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return size_ < kRoom; });
    items_[(first_ + size_++) % kRoom] = item;
    lock.unlock();
    not_empty_.notify_one();
  }
  int get() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return size_ > 0; });
    const int item = items_[first_];
    first_ = (first_ + 1) % kRoom;
    --size_;
    lock.unlock();
    not_full_.notify_one();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  std::vector<int> items_ = std::vector<int>(kRoom);
  size_t first_ = 0;
  size_t size_ = 0;
};

class PlainEvent {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    set_ = false;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

struct Fibers {
  using Queue = tendril::Queue<int>;
  using Event = tendril::Event;
  using Mutex = tendril::Mutex;
  template <typename Work>
  static void run_two(Work work) {
    tendril::run_workers(2, work);
  }
};

struct Threads {
  struct Queue : PlainQueue {
    explicit Queue(size_t) {}
  };
  using Event = PlainEvent;
  using Mutex = std::mutex;
  template <typename Work>
  static void run_two(Work work) {
    std::thread other(work, 1);
    work(0);
    other.join();
  }
};

// --- what is measured ---

template <typename Peer>
void queue() {
  typename Peer::Queue items(kRoom);
  Peer::run_two([&items](unsigned number) {
    if (number == 1) {
      while (items.get() != 0) {
      }
      return;
    }
    for (int i = 0; i < 20'000; ++i) items.put(1);
    const auto began = Clock::now();
    long count = 0;
    do {
      for (int i = 0; i < 1'000; ++i) items.put(1);
      count += 1'000;
    } while (Clock::now() - began < kMeasure);
    print("queue_item_ns", began, count);
    items.put(0);
  });
}

template <typename Peer>
void events() {
  typename Peer::Event ping;
  typename Peer::Event pong;
  std::atomic<bool> over{false};
  Peer::run_two([&](unsigned number) {
    if (number == 1) {
      for (;;) {
        ping.wait();
        ping.clear();
        if (over) return;
        pong.set();
      }
    }
    const auto round_trip = [&] {
      ping.set();
      pong.wait();
      pong.clear();
    };
    for (int i = 0; i < 100; ++i) round_trip();
    const auto began = Clock::now();
    long count = 0;
    do {
      for (int i = 0; i < 50; ++i) round_trip();
      count += 100;
    } while (Clock::now() - began < kMeasure);
    print("event_handover_ns", began, count);
    over = true;
    ping.set();
  });
}

// Each holds it for a few instructions only.
template <typename Peer>
void mutex() {
  typename Peer::Mutex mutex;
  long turns = 0;  // guarded by mutex
  Clock::time_point began;
  std::atomic<int> ready{0};
  Peer::run_two([&](unsigned number) {
    if (++ready == 2) began = Clock::now();
    while (ready < 2) std::this_thread::yield();
    const auto end = Clock::now() + kMeasure;
    do {
      for (int i = 0; i < 1'000; ++i) {
        const std::lock_guard lock(mutex);
        turns = turns + 1;
      }
    } while (Clock::now() < end);
    (void)number;
  });
  print("mutex_turn_ns", began, turns);
}

template <typename Peer>
bool run(const char* what) {
  if (std::strcmp(what, "queue") == 0) {
    queue<Peer>();
  } else if (std::strcmp(what, "events") == 0) {
    events<Peer>();
  } else if (std::strcmp(what, "mutex") == 0) {
    mutex<Peer>();
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const char* peer = argc == 3 ? argv[1] : "";
  if (std::strcmp(peer, "fibers") == 0 && run<Fibers>(argv[2])) return 0;
  if (std::strcmp(peer, "threads") == 0 && run<Threads>(argv[2])) return 0;
  std::fprintf(stderr, "usage: hubs_bench fibers|threads queue|events|mutex\n");
  return 2;
}
