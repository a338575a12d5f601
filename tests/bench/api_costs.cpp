// What the operations of the C++ API cost in CPU time, so that a busy machine does not distort it:
// the least of many short rounds.
//
//   api_costs [NAME…]
#include <time.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <tendril/tendril.hpp>
#include <vector>

namespace {

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <typename Round>
double least(int passes, Round round) {
  double best = 1e18;
  for (int i = 0; i < 60; ++i) {
    const double began = cpu_ns();
    round(passes);
    const double each = (cpu_ns() - began) / passes;
    if (each < best) best = each;
  }
  return best;
}

template <typename Pass>
double each(int passes, Pass pass) {
  return least(passes, [&pass](int n) {
    for (int i = 0; i < n; ++i) pass();
  });
}

double yield() {
  bool over = false;
  auto other = tendril::spawn([&over] {
    while (!over) tendril::yield();
  });
  const double ns = each(20'000, [] { tendril::yield(); }) / 2;
  over = true;
  other.join();
  return ns;
}

double mutex() {
  tendril::Mutex mutex;
  return each(20'000, [&mutex] {
    mutex.lock();
    mutex.unlock();
  });
}

double semaphore() {
  tendril::Semaphore semaphore(1);
  return each(20'000, [&semaphore] {
    semaphore.acquire();
    semaphore.release();
  });
}

template <typename Q>
double through(Q& queue, int passes) {
  auto consumer = tendril::spawn([&queue] {
    while (queue.get() != 0) {
    }
  });
  const double ns = each(passes, [&queue] { queue.put(1); });
  queue.put(0);
  consumer.join();
  return ns;
}

double queue() {
  tendril::Queue<int> queue(1024);
  return through(queue, 20'480);
}

double channel() {
  tendril::Channel<int> channel;
  return through(channel, 10'000);
}

double event() {
  tendril::Event ping;
  tendril::Event pong;
  bool over = false;
  auto other = tendril::spawn([&] {
    while (!over) {
      ping.wait();
      ping.clear();
      pong.set();
    }
  });
  const double ns = each(10'000, [&] {
    ping.set();
    pong.wait();
    pong.clear();
  });
  over = true;
  ping.set();
  other.join();
  return ns / 2;
}

double spawn() {
  return each(5'000, [] { tendril::spawn([] {}).join(); });
}

double spawn_batch() {
  std::vector<tendril::Fiber<>> batch;
  batch.reserve(1'000);
  return least(1'000, [&batch](int n) {
    for (int i = 0; i < n; ++i) batch.push_back(tendril::spawn([] {}));
    for (auto& fiber : batch) fiber.join();
    batch.clear();
  });
}

double greenlet() {
  bool over = false;
  tendril::Greenlet other([&over] {
    const tendril::Greenlet parent = tendril::Greenlet::current().parent();
    while (!over) parent.switch_to();
  });
  other.switch_to();
  const double ns = each(5'000, [&other] { other.switch_to(); }) / 2;
  over = true;
  other.switch_to();
  return ns;
}

double timeout() {
  return each(5'000, [] { tendril::Timeout limit(std::chrono::hours(1)); });
}

struct Named {
  const char* name;
  double (*run)();
};
constexpr Named kAll[] = {
    {"yield_ns", yield},
    {"mutex_ns", mutex},
    {"semaphore_ns", semaphore},
    {"queue_ns", queue},
    {"channel_ns", channel},
    {"event_ns", event},
    {"spawn_join_ns", spawn},
    {"spawn_batch_ns", spawn_batch},
    {"greenlet_switch_ns", greenlet},
    {"timeout_ns", timeout},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Named& one : kAll) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; ++i) wanted |= std::strcmp(argv[i], one.name) == 0;
    if (wanted) std::printf("%s=%.1f\n", one.name, one.run());
  }
}
