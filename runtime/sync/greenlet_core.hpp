// What a Greenlet handle refers to.
#pragma once

#include <atomic>
#include <exception>
#include <memory>

#include "runtime/fiber/wait.hpp"
#include "runtime/hub/worker.hpp"
#include "tendril/detail/fiber_record.hpp"
#include "tendril/greenlet.hpp"

namespace tendril::detail {

enum class GreenletState : uint8_t {
  kNew,      // has not begun: no fiber yet
  kRunning,  // the running fiber, or waits for something else than a switch
  kWaiting,  // in switch_to: whoever switches to it wakes it by `token`
  kDead,     // nobody
};

// Used on its own OS thread only, but for the count.
struct GreenletCore {
  std::atomic<uint32_t> references{1};
  GreenletState state = GreenletState::kNew;
  bool is_root = false;            // stands for a fiber that the greenlets did not make
  ThreadRecord* home = nullptr;    // the thread that it lives on…
  uint64_t home_number = 0;        // …if its record is still this one
  GreenletCore* parent = nullptr;  // holds a reference; null for roots
  std::unique_ptr<GreenletFunction> function;
  rt::WaitToken token;
  // What a switch brings.
  Value value;
  std::exception_ptr error;
  GreenletCore* origin = nullptr;
  FiberRecord record;  // of its fiber, unless it is a root
};

// Throws GreenletExit into those that wait in a switch, of the calling thread, which ends.
void end_greenlets_of(const FiberRecord& thread) noexcept;

// The fiber that this record is of ends: its root greenlet, if it has one, is dead.
void end_root_greenlet(FiberRecord& record) noexcept;

}  // namespace tendril::detail
