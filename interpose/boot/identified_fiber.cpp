#include "interpose/boot/identified_fiber.hpp"

#include <pthread.h>

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/symbols/libc.hpp"
#include "interpose/trap/delivery.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::boot {
namespace {

struct Start {
  rt::FiberEntry entry;
  void* argument;
  rt::Fiber* fiber;
};

void* run(void* argument) {
  auto* given = static_cast<Start*>(argument);
  const Start start = *given;
  rt::runtime_delete(given);
  start.entry(start.fiber, start.argument);
  return nullptr;
}

// Program code: pthread_create allocates and may wait, like any program's call of it.
rt::Fiber* create(rt::FiberEntry entry, void* argument) {
  if (!kernel::activate()) return nullptr;
  auto* start = rt::runtime_new<Start>(Start{entry, argument, nullptr});
  if (start == nullptr) return nullptr;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  kernel::GreenThread* parent = kernel::current_thread();
  parent->hold_next_clone = true;  // start_fiber starts it
  pthread_t thread;
  const int error = symbols::libc_pthread_create(&thread, &attributes, run, start);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    parent->hold_next_clone = false;
    rt::runtime_delete(start);
    return nullptr;
  }
  start->fiber = parent->last_created->fiber;
  start->fiber->pinned = true;  // explicit fibers stay with their hub
  start->fiber->worker = kernel::workers().first();
  return start->fiber;
}

// A wait of the explicit API was interrupted by a signal: its handler runs now, then the wait goes
// on.
void deliver_signals(rt::Fiber*) { trap::deliver_signals_by_trap(); }

}  // namespace

void offer_identified_fibers() noexcept {
  rt::ProcessHooks& hooks = rt::process().hooks;
  hooks.create_identified_fiber = create;
  hooks.before_adopt = kernel::activate;
  hooks.on_interrupt = deliver_signals;
}

}  // namespace tendril::boot
