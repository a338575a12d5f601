// Fibers that belong together. (gevent: pool.Group)
#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <ranges>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/imap.hpp"
#include "tendril/mutex.hpp"
#include "tendril/wait.hpp"

namespace tendril {

// Each member leaves when it has ended. Any fiber or OS thread may call anything. Destroying the
// group leaves its fibers alone.
class Group {
  // First, for its return type is deduced.
  auto spawner() {
    return [core = core_](auto&& work) {
      Group group(core);
      return group.spawn(std::forward<decltype(work)>(work));
    };
  }

 public:
  Group() : core_(std::make_shared<Core>()) { core_->empty.set(); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  template <typename F, typename... Args>
  requires detail::Callable<F, Args...>
  auto spawn(F&& f, Args&&... args) {
    auto fiber = tendril::spawn(SpawnOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
    add(fiber);
    return fiber;
  }

  void add(const FiberHandle& fiber) {
    {
      std::lock_guard lock(core_->mutex);
      if (!core_->members.emplace(fiber.task(), fiber).second) return;
      core_->empty.clear();
    }
    fiber.link_observer([core = core_](const FiberHandle& done) { core->remove(done); });
  }
  void discard(const FiberHandle& fiber) { core_->remove(fiber); }

  size_t size() const {
    std::lock_guard lock(core_->mutex);
    return core_->members.size();
  }
  bool contains(const FiberHandle& fiber) const {
    std::lock_guard lock(core_->mutex);
    return core_->members.contains(fiber.task());
  }
  std::vector<FiberHandle> members() const {
    std::lock_guard lock(core_->mutex);
    std::vector<FiberHandle> all;
    for (const auto& [task, fiber] : core_->members) all.push_back(fiber);
    return all;
  }

  // Waits until it is empty: false if the timeout passed first.
  bool join(Duration timeout = kForever) { return core_->empty.wait(timeout); }
  // The same, and rethrows the first exception that ends one of those that are in it now.
  void join_or_throw() { joinall(members(), JoinOptions{.raise_error = true}); }

  // Kills all and waits until they have ended; members that come meanwhile are killed too.
  bool kill(const std::exception_ptr& exception = nullptr, Duration timeout = kForever) {
    const detail::TimeLeft left(timeout);
    for (;;) {
      const auto all = members();
      if (all.empty()) return true;
      if (!killall(all, exception, left.left())) return false;
      for (const FiberHandle& fiber : all) core_->remove(fiber);
    }
  }

  // Runs it in a member; waits; returns its value or rethrows.
  template <typename F, typename... Args>
  auto apply(F&& f, Args&&... args) {
    return spawn(std::forward<F>(f), std::forward<Args>(args)...).get();
  }
  template <typename F, typename... Args>
  auto apply_async(F&& f, Args&&... args) {
    return spawn(std::forward<F>(f), std::forward<Args>(args)...);
  }

  // f(item) for each item, each in a member; the values in the order of the items. Rethrows the
  // first exception in that order, when all have ended.
  template <typename F, std::ranges::input_range Items>
  auto map(F f, Items&& items) {
    return detail::map_with(spawner(), std::move(f), std::forward<Items>(items));
  }
  template <typename F, std::ranges::input_range Items>
  auto map_async(F f, Items items) {
    return tendril::spawn(SpawnOptions{}, [spawner = spawner(), f = std::move(f),
                                           items = std::move(items)]() mutable {
      return detail::map_with(spawner, std::move(f), items);
    });
  }

  // The values one by one, in the order of the items, or as they come; at most `ahead` items are
  // taken before their values are asked for.
  template <typename F, std::ranges::input_range Items>
  auto imap(F f, Items items, size_t ahead = detail::kUnlimited) {
    return detail::make_imap(spawner(), std::move(f), std::move(items), ahead, true);
  }
  template <typename F, std::ranges::input_range Items>
  auto imap_unordered(F f, Items items, size_t ahead = detail::kUnlimited) {
    return detail::make_imap(spawner(), std::move(f), std::move(items), ahead, false);
  }

 private:
  struct Core {
    mutable Mutex mutex;
    std::unordered_map<detail::Task*, FiberHandle> members;  // guarded by mutex
    Event empty;

    void remove(const FiberHandle& fiber) {
      FiberHandle last;  // destroyed without the lock
      std::lock_guard lock(mutex);
      const auto found = members.find(fiber.task());
      if (found == members.end()) return;
      last = std::move(found->second);
      members.erase(found);
      if (members.empty()) empty.set();
    }
  };

  explicit Group(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;
};

}  // namespace tendril
