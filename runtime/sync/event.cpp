#include "tendril/event.hpp"

#include "runtime/sync/wait_list.hpp"

namespace tendril {

using namespace detail;

void Event::set() {
  Guard guard(lock_);
  set_ = true;
  rt::Fiber* woken = waiters_.head != nullptr ? grant_all(waiters_) : nullptr;
  guard.release();
  let_all_run(woken);
}

void Event::clear() {
  Guard guard(lock_);
  set_ = false;
}

bool Event::is_set() const {
  Guard guard(lock_);
  return set_;
}

bool Event::wait(Duration timeout) {
  Guard guard(lock_);
  return wait_until(guard, waiters_, rt::WaitKind::kEvent, this, timeout, [this] { return set_; });
}

}  // namespace tendril
