// Looking at fibers from outside, whichever thread they are of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/fiber/fiber.hpp"
#include "tendril/detail/fiber_record.hpp"
#include "tendril/fiber.hpp"

namespace tendril::detail {

struct SeenFiber {
  FiberHandle handle;  // empty: not a spawned one, but what a thread began with, or a greenlet
  rt::FiberState state;
  rt::WaitKind wait_kind;
  const void* wait_object;
  const ThreadRecord* thread;
  uint64_t thread_number;
  int tid;
  bool begins_thread;
  const rt::Worker* worker;
};

// All that have a record, of one thread or (null) of all. They are held while they are looked at.
std::vector<SeenFiber> look_at_fibers(const ThreadRecord* thread);

// The record belongs to the running fiber, and ends before it: nobody looks at it any more when
// this returns.
void part_from_fiber(FiberRecord& record) noexcept;

void inspection_reset_after_fork() noexcept;

}  // namespace tendril::detail
