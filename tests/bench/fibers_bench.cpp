// What fibers of the C++ API cost.
//
//   fibers_bench jump | yield | spawn | spawn_batch | queue | alive N | sleepers N
//
// `jump` is the limit: Boost.Context's bare switch between two stacks, without a scheduler.
#include <tendril/tendril.hpp>

#include <array>
#include <boost/context/detail/fcontext.hpp>
#include <vector>

#include "bench_loop.hpp"
#include "sleepers.hpp"

namespace {

void jump() {
  namespace context = boost::context::detail;
  alignas(64) static std::array<char, 64 * 1024> stack;
  context::fcontext_t other =
      context::make_fcontext(stack.end(), stack.size(), [](context::transfer_t from) {
        for (;;) from = context::jump_fcontext(from.fctx, nullptr);
      });
  const double ns =
      bench::ns_per_pass(1000, [&other] { other = context::jump_fcontext(other, nullptr).fctx; });
  bench::print("yield_ns", ns / 2);  // what a yield could be at best
}

void yield() {
  constexpr int kTurns = 1000;
  const auto take_turns = [] {
    for (int turn = 0; turn < kTurns; ++turn) tendril::yield();
  };
  const double ns = bench::ns_per_pass(1, [&take_turns] {
    auto one = tendril::spawn(take_turns);
    auto other = tendril::spawn(take_turns);
    one.join();
    other.join();
  });
  bench::print("yield_ns", ns / (2 * kTurns));
}

void spawn() {
  bench::print("spawn_join_ns", bench::ns_per_pass(1000, [] { tendril::spawn([] {}).join(); }));
}

void spawn_batch() {
  constexpr std::size_t kBatch = 1000;
  std::vector<tendril::Fiber<>> batch;
  batch.reserve(kBatch);
  const double ns = bench::ns_per_pass(1, [&batch] {
    for (std::size_t i = 0; i < kBatch; ++i) batch.push_back(tendril::spawn([] {}));
    for (auto& fiber : batch) fiber.join();
    batch.clear();
  });
  bench::print("spawn_join_batch_ns", ns / kBatch);
}

void queue() {
  tendril::Queue<int> items(1024);
  auto consumer = tendril::spawn([&items] {
    while (items.get() != 0) {
    }
  });
  bench::print("queue_item_ns", bench::ns_per_pass(10000, [&items] { items.put(1); }));
  items.put(0);
  consumer.join();
}

void alive(std::size_t count) {
  tendril::Event open;
  std::vector<tendril::Fiber<>> parked;
  parked.reserve(count);
  const long before_kb = bench::own_kb();
  for (std::size_t i = 0; i < count; ++i) {
    parked.push_back(tendril::spawn([&open] { open.wait(); }));
  }
  tendril::yield();
  bench::print("alive", static_cast<double>(count));
  bench::print("alive_bytes_each", (bench::own_kb() - before_kb) * 1024.0 / count);
  open.set();
  for (auto& fiber : parked) fiber.join();
}

void sleepers(std::size_t count) {
  bench::Sleepers sleepers;
  std::vector<tendril::Fiber<>> all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(tendril::spawn([&sleepers] {
      for (int sleep = 0; sleep < bench::Sleepers::kSleepsEach; ++sleep) {
        const std::int64_t length = sleepers.next_length();
        const std::int64_t due = bench::now_ns() + length;
        tendril::sleep(std::chrono::nanoseconds(length));
        sleepers.woke(due);
      }
    }));
  }
  for (auto& fiber : all) fiber.join();
  sleepers.report();
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(argc, argv,
                     {{"jump", jump},
                      {"yield", yield},
                      {"spawn", spawn},
                      {"spawn_batch", spawn_batch},
                      {"queue", queue}},
                     {{"alive", alive}, {"sleepers", sleepers}});
}
