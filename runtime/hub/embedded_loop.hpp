// The event loop of a library that runs beside the fibers of one OS thread: the hub asks it how
// long it can wait and lets it run when its descriptor is readable or its time has come. The core
// knows no such library: a process that is only interposed would load it for nothing, and have its
// names found before those of a copy that the program brings along.
#pragma once

#include <cstddef>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

class EmbeddedLoop {
 public:
  virtual int descriptor() const noexcept = 0;  // readable when there is something to do
  virtual bool is_alive() const noexcept = 0;   // has handles or requests to wait for
  virtual Nanoseconds timeout() noexcept = 0;   // from now; 0: due, kForever: none
  virtual void run() noexcept = 0;              // what is due, without waiting
  virtual void close() noexcept = 0;            // closes its handles and frees the loop itself

 protected:
  EmbeddedLoop() = default;
  EmbeddedLoop(const EmbeddedLoop&) = default;
  EmbeddedLoop& operator=(const EmbeddedLoop&) = default;
  ~EmbeddedLoop() = default;
};

// OS threads that such a library keeps for its loops' requests. They have work only while the loop
// that asked for it is alive.
size_t embedded_loop_threads() noexcept;
void set_embedded_loop_threads(size_t count) noexcept;

}  // namespace tendril::rt
