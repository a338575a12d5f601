// A flag to wait for. (gevent: event.Event)
#pragma once

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// Any fiber or OS thread may call anything. May be destroyed as soon as wait has returned.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Wakes all who wait, in the order of their arrival, even if clear() follows at once.
  void set();
  void clear();
  bool is_set() const;

  // Waits until it is set; false if the timeout passed first.
  bool wait(Duration timeout = kForever);

 private:
  friend struct detail::SelectAccess;
  mutable detail::BiasedLock lock_;
  bool set_ = false;  // guarded by lock_, as are the waiters
  detail::WaitList waiters_;
};

}  // namespace tendril
