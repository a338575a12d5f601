// A bounded number of fibers at a time. (gevent: pool.Pool)
#pragma once

#include <exception>
#include <memory>
#include <ranges>
#include <utility>

#include "tendril/fiber.hpp"
#include "tendril/group.hpp"
#include "tendril/imap.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {

// As Group, but spawn waits while `size` members run. Any fiber or OS thread may call anything.
class Pool {
  // First, for its return type is deduced.
  auto spawner() {
    return [this](auto&& work) { return spawn(std::forward<decltype(work)>(work)); };
  }

 public:
  explicit Pool(size_t size)
      : size_(size == 0 ? 1 : size), places_(std::make_shared<Semaphore>(size_)) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Waits for a free place.
  template <typename F, typename... Args>
  requires detail::Callable<F, Args...>
  auto spawn(F&& f, Args&&... args) {
    places_->acquire();
    return spawn_in_place(std::forward<F>(f), std::forward<Args>(args)...);
  }

  size_t size() const noexcept { return size_; }
  size_t running() const { return group_.size(); }
  size_t free_count() const { return places_->value(); }
  bool full() const { return free_count() == 0; }
  // Waits for a free place without taking it: false if the timeout passed first.
  bool wait_available(Duration timeout = kForever) { return places_->wait(timeout); }

  bool join(Duration timeout = kForever) { return group_.join(timeout); }
  bool kill(const std::exception_ptr& exception = nullptr, Duration timeout = kForever) {
    return group_.kill(exception, timeout);
  }
  std::vector<FiberHandle> members() const { return group_.members(); }

  // As those of Group.
  template <typename F, typename... Args>
  auto apply(F&& f, Args&&... args) {
    return spawn(std::forward<F>(f), std::forward<Args>(args)...).get();
  }
  template <typename F, typename... Args>
  auto apply_async(F&& f, Args&&... args) {
    return spawn(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <typename F, std::ranges::input_range Items>
  auto map(F f, Items&& items) {
    return detail::map_with(spawner(), std::move(f), std::forward<Items>(items));
  }
  // The pool must live until these are done.
  template <typename F, std::ranges::input_range Items>
  auto map_async(F f, Items items) {
    return tendril::spawn(SpawnOptions{}, [spawner = spawner(), f = std::move(f),
                                           items = std::move(items)]() mutable {
      return detail::map_with(spawner, std::move(f), items);
    });
  }
  template <typename F, std::ranges::input_range Items>
  auto imap(F f, Items items, size_t ahead = detail::kUnlimited) {
    return detail::make_imap(spawner(), std::move(f), std::move(items), ahead, true);
  }
  template <typename F, std::ranges::input_range Items>
  auto imap_unordered(F f, Items items, size_t ahead = detail::kUnlimited) {
    return detail::make_imap(spawner(), std::move(f), std::move(items), ahead, false);
  }

 private:
  template <typename F, typename... Args>
  auto spawn_in_place(F&& f, Args&&... args) {
    auto places = places_;
    try {
      auto fiber = group_.spawn(std::forward<F>(f), std::forward<Args>(args)...);
      fiber.link_observer([places](const FiberHandle&) { places->release(); });
      return fiber;
    } catch (...) {
      places->release();
      throw;
    }
  }

  const size_t size_;
  std::shared_ptr<Semaphore> places_;
  Group group_;
};

}  // namespace tendril
