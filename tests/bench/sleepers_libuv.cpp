// Raw libuv timers as a peer of `fibers_bench sleepers N`: N timers, each three times 0 to 1 s.
//
//   sleepers_libuv sleepers N
#include <uv.h>

#include <vector>

#include "bench_loop.hpp"
#include "sleepers.hpp"

namespace {

struct Sleeper {
  uv_timer_t timer;
  int left = bench::Sleepers::kSleepsEach;
  std::int64_t due = 0;
  bench::Sleepers* sleepers = nullptr;
};

void sleep_again(uv_timer_t* timer);

void on_timer(uv_timer_t* timer) {
  auto& sleeper = *static_cast<Sleeper*>(timer->data);
  sleeper.sleepers->woke(sleeper.due);
  if (--sleeper.left > 0) sleep_again(timer);
}

void sleep_again(uv_timer_t* timer) {
  auto& sleeper = *static_cast<Sleeper*>(timer->data);
  const std::int64_t length = sleeper.sleepers->next_length();
  sleeper.due = bench::now_ns() + length;
  uv_update_time(timer->loop);
  uv_timer_start(timer, on_timer, static_cast<std::uint64_t>((length + 999'999) / 1'000'000), 0);
}

void sleepers(std::size_t count) {
  bench::Sleepers sleepers;
  std::vector<Sleeper> all(count);
  for (Sleeper& sleeper : all) {
    sleeper.sleepers = &sleepers;
    uv_timer_init(uv_default_loop(), &sleeper.timer);
    sleeper.timer.data = &sleeper;
    sleep_again(&sleeper.timer);
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  sleepers.report();
}

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, {}, {{"sleepers", sleepers}}); }
