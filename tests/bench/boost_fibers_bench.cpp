// Boost.Fiber as a peer of fibers_bench: the same loops, the same names.
//
//   boost_fibers_bench yield | spawn | spawn_batch | queue | alive N
#include <boost/fiber/all.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench_loop.hpp"

namespace {

namespace fibers = boost::fibers;

void yield() {
  constexpr int kTurns = 1000;
  const auto take_turns = [] {
    for (int turn = 0; turn < kTurns; ++turn) boost::this_fiber::yield();
  };
  const double ns = bench::ns_per_pass(1, [&take_turns] {
    fibers::fiber one(take_turns);
    fibers::fiber other(take_turns);
    one.join();
    other.join();
  });
  bench::print("yield_ns", ns / (2 * kTurns));
}

void spawn() {
  bench::print("spawn_join_ns", bench::ns_per_pass(1000, [] { fibers::fiber([] {}).join(); }));
}

void spawn_batch() {
  constexpr std::size_t kBatch = 1000;
  std::vector<fibers::fiber> batch(kBatch);
  const double ns = bench::ns_per_pass(1, [&batch] {
    for (auto& fiber : batch) fiber = fibers::fiber([] {});
    for (auto& fiber : batch) fiber.join();
  });
  bench::print("spawn_join_batch_ns", ns / kBatch);
}

void queue() {
  fibers::buffered_channel<int> items(1024);
  fibers::fiber consumer([&items] {
    int item;
    while (items.pop(item) == fibers::channel_op_status::success) {
    }
  });
  bench::print("queue_item_ns", bench::ns_per_pass(10000, [&items] { items.push(1); }));
  items.close();
  consumer.join();
}

void alive(std::size_t count) {
  fibers::mutex mutex;
  fibers::condition_variable opened;
  bool open = false;
  std::vector<fibers::fiber> parked;
  parked.reserve(count);
  const long before_kb = bench::own_kb();
  for (std::size_t i = 0; i < count; ++i) {
    parked.emplace_back([&] {
      std::unique_lock lock(mutex);
      opened.wait(lock, [&open] { return open; });
    });
  }
  boost::this_fiber::yield();
  bench::print("alive", static_cast<double>(count));
  bench::print("alive_bytes_each", (bench::own_kb() - before_kb) * 1024.0 / count);
  open = true;
  opened.notify_all();
  for (auto& fiber : parked) fiber.join();
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(
      argc, argv,
      {{"yield", yield}, {"spawn", spawn}, {"spawn_batch", spawn_batch}, {"queue", queue}},
      {{"alive", alive}});
}
