// Mapping a function over items by fibers: the common part of Group and Pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "tendril/fiber.hpp"
#include "tendril/queue.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {

// The values of an imap. One range for iteration; each step waits for a value and rethrows what
// ended its fiber, after which one may go on with next(). Destroyed early, no more items are taken;
// the fibers that run already run on.
template <typename R>
class Imap {
 public:
  struct State {
    SimpleQueue<Fiber<R>> results;  // shut down after the last
    Semaphore permits;
    std::atomic<size_t> running{1};  // fibers whose result is to come, and the feeder
    explicit State(size_t ahead) : permits(ahead) {}
    void one_less() {
      if (running.fetch_sub(1) == 1) results.shutdown();
    }
  };

  Imap(std::shared_ptr<State> state, FiberHandle feeder)
      : state_(std::move(state)), feeder_(std::move(feeder)) {}
  Imap(Imap&&) noexcept = default;
  Imap& operator=(Imap&&) noexcept = default;
  ~Imap() {
    if (feeder_) feeder_.kill_soon();
  }

  // Nothing after the last.
  std::optional<R> next() {
    auto fiber = state_->results.try_get(kForever);
    if (!fiber) {
      if (const auto error = feeder_.exception()) std::rethrow_exception(error);  // of the items
      return std::nullopt;
    }
    state_->permits.release();
    return std::move(*fiber).get();
  }

  class Iterator {
   public:
    using value_type = R;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Imap& source) : source_(&source), value_(source.next()) {}
    R& operator*() { return *value_; }
    Iterator& operator++() {
      value_ = source_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !value_; }

   private:
    Imap* source_;
    std::optional<R> value_;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() { return {}; }

 private:
  std::shared_ptr<State> state_;
  FiberHandle feeder_;
};

namespace detail {

inline constexpr size_t kUnlimited = static_cast<size_t>(-1) / 2;

template <typename F, typename Items>
using MappedType = std::invoke_result_t<F&, std::ranges::range_reference_t<Items>>;

template <typename Spawner, typename F, typename Items>
auto map_with(Spawner spawner, F f, Items&& items) {
  using R = MappedType<F, Items>;
  using Item = std::ranges::range_value_t<Items>;
  auto shared = std::make_shared<F>(std::move(f));
  std::vector<Fiber<R>> fibers;
  for (auto&& item : items) {
    fibers.push_back(spawner([shared, kept = Item(std::forward<decltype(item)>(
                                          item))]() mutable -> R { return (*shared)(kept); }));
  }
  for (const auto& fiber : fibers) fiber.join();
  if constexpr (std::is_void_v<R>) {
    for (auto& fiber : fibers) fiber.get();
  } else {
    std::vector<R> values;
    values.reserve(fibers.size());
    for (auto& fiber : fibers) values.push_back(std::move(fiber).get());
    return values;
  }
}

template <typename Spawner, typename F, typename Items>
auto make_imap(Spawner spawner, F f, Items items, size_t ahead, bool ordered) {
  using R = MappedType<F, Items>;
  using Item = std::ranges::range_value_t<Items>;
  auto state = std::make_shared<typename Imap<R>::State>(ahead == 0 ? 1 : ahead);
  auto feeder = spawn(SpawnOptions{}, [state, spawner, ordered, items = std::move(items),
                                       shared = std::make_shared<F>(std::move(f))]() mutable {
    struct Last {
      typename Imap<R>::State& state;
      ~Last() { state.one_less(); }
    } last{*state};
    for (auto&& item : items) {
      state->permits.acquire();
      ++state->running;
      Fiber<R> fiber;
      try {
        fiber = spawner([shared, kept = Item(std::forward<decltype(item)>(item))]() mutable -> R {
          return (*shared)(kept);
        });
      } catch (...) {
        state->one_less();
        throw;
      }
      if (ordered) {
        state->results.put(fiber);
        state->one_less();
      } else {
        fiber.link([state, fiber](const FiberHandle&) {
          state->results.put(fiber);
          state->one_less();
        });
      }
    }
  });
  return Imap<R>(std::move(state), std::move(feeder));
}

}  // namespace detail

}  // namespace tendril
