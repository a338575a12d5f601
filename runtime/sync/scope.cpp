#include "tendril/scope.hpp"

#include <algorithm>

#include "runtime/sync/attention.hpp"
#include "tendril/wait.hpp"

namespace tendril {

void Scope::add(const FiberHandle& fiber) {
  // Those that have ended well need not be remembered: a long-lived scope stays small.
  if (fibers_.size() == fibers_.capacity()) {
    std::erase_if(fibers_, [](const FiberHandle& f) { return f.successful(); });
  }
  fibers_.push_back(fiber);
}

void Scope::join() {
  try {
    while (!fibers_.empty()) {
      // A fiber may spawn into the scope while it is waited for.
      const std::vector<FiberHandle> now = fibers_;
      joinall(now, JoinOptions{.raise_error = true});
      std::erase_if(fibers_, [](const FiberHandle& fiber) { return fiber.successful(); });
    }
  } catch (...) {
    cancel();
    throw;
  }
}

void Scope::cancel() noexcept {
  const detail::Shield shield(detail::current_record());
  while (!fibers_.empty()) {
    const std::vector<FiberHandle> now = std::exchange(fibers_, {});
    killall(now);
    for (const FiberHandle& fiber : now) (void)fiber.exception();  // seen: another one is thrown
  }
}

}  // namespace tendril
