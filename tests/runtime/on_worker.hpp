// Makes the test's OS thread a worker, and fibers of lambdas.
#pragma once

#include <doctest/doctest.h>

#include <utility>

#include "runtime/hub/park.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/worker.hpp"

namespace rt = tendril::rt;

// A worker for the life of the object. No fiber may be left at its end.
class OnWorker {
 public:
  OnWorker() {
    rt::Fiber* root = rt::take_fiber();
    rt::adopt_current_thread(*root, /*shared=*/true);
    int error = -1;
    worker_ = rt::Worker::adopt_this_thread(root, nullptr, 0, &error);
    REQUIRE(worker_ != nullptr);
    CHECK(error == 0);
    live_ = rt::process().live_fibers();
  }
  ~OnWorker() {
    CHECK(rt::process().live_fibers() == live_);
    rt::Worker::release_this_thread();
    CHECK(rt::current_worker() == nullptr);
  }
  OnWorker(const OnWorker&) = delete;
  OnWorker& operator=(const OnWorker&) = delete;

  rt::Worker* worker() const { return worker_; }

 private:
  rt::Worker* worker_;
  size_t live_;
};

// Runs the callable, which must outlive it, in a new fiber.
template <typename F>
rt::Fiber* start(F& body) {
  rt::Fiber* fiber =
      rt::create_fiber([](rt::Fiber*, void* argument) { (*static_cast<F*>(argument))(); }, &body,
                       rt::default_stacks());
  REQUIRE(fiber != nullptr);
  rt::start_fiber(fiber);
  return fiber;
}
