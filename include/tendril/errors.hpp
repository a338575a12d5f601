// What the library throws. Failed system calls are std::system_error.
#pragma once

#include <stdexcept>
#include <string>

namespace tendril {

class Timeout;

// Thrown in a fiber that is to end: by kill(), and into a greenlet that nobody refers to any more.
// No std::exception, so that handlers of errors do not stop it by accident. A fiber that ends by it
// has ended well. (gevent: GreenletExit)
class GreenletExit {
 public:
  const char* what() const noexcept { return "GreenletExit"; }
};

// A deadline has passed: that of a call with a timeout, or that of a Timeout scope. (gevent:
// Timeout)
class TimeoutError : public std::runtime_error {
 public:
  explicit TimeoutError(const char* what, const Timeout* scope = nullptr, unsigned long start = 0)
      : std::runtime_error(what), scope_(scope), start_(start) {}

  // Whose it is: nested scopes are told apart by identity.
  bool is(const Timeout& scope) const noexcept;

 private:
  const Timeout* scope_;
  unsigned long start_;  // which start() of it
};

// Everything waits and nothing can ever wake it; says who waits on what. Thrown in the fiber that
// the OS thread began with. (gevent: LoopExit)
class LoopExit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Two fibers use one object that serves one at a time. (gevent: ConcurrentObjectUseError)
class ConcurrentUse : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// A call that may block was made where nothing may block: in a callback on the hub.
// (gevent: BlockingSwitchOutError)
class BlockingInHub : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// A switch that cannot be: to another OS thread's greenlet, to one that does not wait in a switch,
// or a cycle of parents. (greenlet: greenlet.error)
class GreenletError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// A primitive was used against its rules: unlock by a stranger, release beyond the bound.
class MisuseError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Queues (gevent: queue.Empty, queue.Full, queue.ShutDown).
class Empty : public std::runtime_error {
 public:
  Empty() : std::runtime_error("tendril: the queue is empty") {}
};
class Full : public std::runtime_error {
 public:
  Full() : std::runtime_error("tendril: the queue is full") {}
};
class ShutDown : public std::runtime_error {
 public:
  ShutDown() : std::runtime_error("tendril: the queue was shut down") {}
};

}  // namespace tendril
