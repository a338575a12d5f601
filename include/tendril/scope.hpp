// Fibers that end with the block they are used in. (structured concurrency; gevent has none)
//
//   {
//     Scope scope;
//     scope.spawn(reader);
//     scope.spawn(writer);
//   }  // both have ended here
#pragma once

#include <exception>
#include <utility>
#include <vector>

#include "tendril/fiber.hpp"

namespace tendril {

// At the end of the block: waits for its fibers; if one of them is ended by an exception the others
// are killed and it is rethrown. If the block is left by an exception, or the fiber is killed while
// it waits, all are killed and waited for first; so cancelling an outer scope cancels those inside.
// Of one fiber.
class Scope {
 public:
  Scope() : exceptions_(std::uncaught_exceptions()) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() noexcept(false) {
    if (std::uncaught_exceptions() > exceptions_) {
      cancel();
    } else {
      join();
    }
  }

  template <typename F, typename... Args>
  requires detail::Callable<F, Args...>
  auto spawn(F&& f, Args&&... args) {
    auto fiber = tendril::spawn(SpawnOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
    add(fiber);
    return fiber;
  }
  void add(const FiberHandle& fiber);

  // What the end of the block does when no exception leaves it.
  void join();
  // Kills all and waits until they have ended, whatever is thrown into this fiber meanwhile.
  void cancel() noexcept;

 private:
  const int exceptions_;
  std::vector<FiberHandle> fibers_;
};

}  // namespace tendril
