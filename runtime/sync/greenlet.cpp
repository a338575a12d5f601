// A switch is a wake of the target's pending switch and a wait of our own: the scheduler runs the
// target next in turn, and greenlets and other fibers mix freely.
#include "tendril/greenlet.hpp"

#include <new>

#include "runtime/hub/process.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/greenlet_core.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/locals.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/task_list.hpp"

namespace tendril {
namespace detail {
namespace {

void settle(GreenletCore* core, ThreadRecord* thread) noexcept {
  core->home = thread;
  core->home_number = thread->number.load(std::memory_order_relaxed);
}

bool is_at_home(const GreenletCore* core, const ThreadRecord* thread) noexcept {
  return core->home == thread &&
         core->home_number == thread->number.load(std::memory_order_relaxed);
}

GreenletCore* current_core() {
  rt::Fiber* self = require_fiber();
  FiberRecord& record = record_of(self);
  if (record.greenlet == nullptr) {
    auto* root = new GreenletCore;
    root->is_root = true;
    root->state = GreenletState::kRunning;
    settle(root, record.thread);
    record.greenlet = root;
  }
  return static_cast<GreenletCore*>(record.greenlet);
}

bool is_exit(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const GreenletExit&) {
    return true;
  } catch (...) {
    return false;
  }
}

// The nearest of it and its ancestors that has not ended; GreenletExit for one that has is a value.
GreenletCore* nearest_alive(GreenletCore* core, Value& value, std::exception_ptr& error) noexcept {
  while (core != nullptr && core->state == GreenletState::kDead) {
    if (error != nullptr && is_exit(error)) {
      error = nullptr;
      value = Value(GreenletExit());
    }
    core = core->parent;
  }
  return core;
}

void greenlet_main(rt::Fiber* fiber, void* argument);

void make_fiber(GreenletCore* target) {
  if (target->record.fiber != nullptr) return;
  rt::Fiber* fiber = new_fiber(greenlet_main, target, 0);
  if (fiber == nullptr) throw std::bad_alloc();
  fiber->api = &target->record;
  target->record.fiber = fiber;
  target->record.greenlet = target;
  target->record.thread = target->home;
}

// Makes it ready to run with what is brought. It waits or is new.
void bring(GreenletCore* target, GreenletCore* origin, Value value, std::exception_ptr error) {
  const bool is_new = target->state == GreenletState::kNew;
  if (is_new) make_fiber(target);
  target->value = std::move(value);
  target->error = std::move(error);
  target->origin = origin;
  target->state = GreenletState::kRunning;
  if (is_new) {
    hold_greenlet(target);  // its fiber's
    rt::start_fiber(static_cast<rt::Fiber*>(target->record.fiber));
  } else {
    rt::wake(target->token);
  }
}

// Traces that throw end the tracing; what they threw is thrown instead of what was brought.
void trace_arrival(GreenletCore* self) {
  const auto trace = reinterpret_cast<GreenletTrace>(self->home->greenlet_trace);
  if (trace == nullptr || self->origin == nullptr) return;
  const auto event = self->error != nullptr ? GreenletEvent::kThrow : GreenletEvent::kSwitch;
  hold_greenlet(self->origin);
  hold_greenlet(self);
  try {
    trace(event, Greenlet::adopt(self->origin), Greenlet::adopt(self));
  } catch (...) {
    self->home->greenlet_trace = nullptr;
    self->value.reset();
    self->error = std::current_exception();
  }
}

// What was brought to the running greenlet.
Value receive(GreenletCore* self) {
  trace_arrival(self);
  self->origin = nullptr;
  Value value = std::exchange(self->value, Value());
  if (self->error != nullptr) std::rethrow_exception(std::exchange(self->error, nullptr));
  return value;
}

// Waits on until somebody has switched here.
void wait_for_switch(GreenletCore* self) {
  while (self->state == GreenletState::kWaiting) {  // it was an interrupt
    self->state = GreenletState::kRunning;
    on_interrupted(running_fiber());
    const rt::RuntimeSection section;
    self->state = GreenletState::kWaiting;
    self->token = rt::begin_wait(rt::WaitKind::kSwitch, self);
    park_attentively(self->token, rt::kForever);
  }
}

Value switch_core(GreenletCore* target, Value value, std::exception_ptr error) {
  GreenletCore* self = current_core();
  if (!is_at_home(target, self->home)) {
    throw GreenletError("tendril: a switch to a greenlet of another OS thread");
  }
  target = nearest_alive(target, value, error);
  if (target == nullptr)
    throw GreenletError("tendril: a switch to a greenlet without a living parent");
  if (target == self) {
    if (error != nullptr) std::rethrow_exception(error);
    return value;
  }
  if (target->state == GreenletState::kRunning) {
    throw GreenletError("tendril: a switch to a greenlet that waits for something else");
  }
  if (self->references.load(std::memory_order_relaxed) == 1 && !self->is_root) {
    bring(target, self, std::move(value), std::move(error));
    throw GreenletExit();  // nobody could ever switch back
  }
  if (target->state == GreenletState::kNew) make_fiber(target);
  {
    const rt::RuntimeSection section;
    bring(target, self, std::move(value), std::move(error));
    self->state = GreenletState::kWaiting;
    self->token = rt::begin_wait(rt::WaitKind::kSwitch, target);
    park_attentively(self->token, rt::kForever);
  }
  wait_for_switch(self);
  return receive(self);
}

// Its end: the value or the exception goes to the nearest living ancestor.
void end_greenlet(GreenletCore* self, Value value, std::exception_ptr error) noexcept {
  self->state = GreenletState::kDead;
  GreenletCore* heir = nearest_alive(self->parent, value, error);
  const bool can_take = heir != nullptr && (heir->state == GreenletState::kWaiting ||
                                            heir->state == GreenletState::kNew);
  if (!can_take) {
    if (error != nullptr && !is_exit(error)) report_loose_exception(error, "left a greenlet");
    return;
  }
  try {
    bring(heir, self, std::move(value), std::move(error));
  } catch (...) {
    report_loose_exception(std::current_exception(), "kept a greenlet from its parent");
  }
}

void greenlet_main(rt::Fiber*, void* argument) {
  auto* self = static_cast<GreenletCore*>(argument);
  Value value;
  std::exception_ptr error;
  try {
    value = self->function->call(receive(self));
  } catch (const GreenletExit& exit) {
    value = Value(exit);
  } catch (...) {
    error = std::current_exception();
  }
  {
    const Shield shield(self->record);
    self->function.reset();
    destroy_locals(self->record);
  }
  part_from_fiber(self->record);
  end_greenlet(self, std::move(value), std::move(error));
  release_greenlet(self);
}

}  // namespace

void hold_greenlet(GreenletCore* core) noexcept {
  core->references.fetch_add(1, std::memory_order_relaxed);
}

void release_greenlet(GreenletCore* core) noexcept {
  // One that waits in a switch is held by its fiber too: nobody else can reach it any more.
  const bool abandoned = core->references.load(std::memory_order_acquire) == 2 && !core->is_root &&
                         core->state == GreenletState::kWaiting;
  if (abandoned && rt::on_worker && is_at_home(core, record_of(running_fiber()).thread)) {
    try {
      GreenletCore* self = current_core();
      if (self != core) {
        hold_greenlet(self);
        if (core->parent != nullptr) release_greenlet(core->parent);
        core->parent = self;
        const Shield shield(current_record());
        switch_core(core, {}, std::make_exception_ptr(GreenletExit()));
      }
    } catch (...) {
      report_loose_exception(std::current_exception(), "left a greenlet that was given up");
    }
  } else if (abandoned) {
    throw_into(core->record, std::make_exception_ptr(GreenletExit()));
  }
  if (core->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  GreenletCore* parent = core->parent;
  delete core;
  if (parent != nullptr) release_greenlet(parent);
}

void end_greenlets_of(const FiberRecord& thread) noexcept {
  const std::exception_ptr exit = std::make_exception_ptr(GreenletExit());
  const rt::Worker* me = rt::current_worker();
  rt::process().for_each_fiber([&](rt::Fiber* fiber) {
    if (fiber->worker != me) return;  // whose records may end meanwhile
    auto* record = static_cast<FiberRecord*>(fiber->api);
    if (record == nullptr || record->thread != thread.thread || record->task != nullptr) return;
    if (record == &thread) return;
    throw_into(*record, exit);
  });
}

void end_root_greenlet(FiberRecord& record) noexcept {
  auto* root = static_cast<GreenletCore*>(std::exchange(record.greenlet, nullptr));
  if (root == nullptr) return;
  root->state = GreenletState::kDead;
  release_greenlet(root);
}

}  // namespace detail

using detail::GreenletCore;
using detail::GreenletState;

Greenlet::Greenlet(std::unique_ptr<detail::GreenletFunction> function, const Greenlet& parent) {
  GreenletCore* above = parent.core_ != nullptr ? parent.core_ : detail::current_core();
  core_ = new GreenletCore;
  core_->function = std::move(function);
  detail::settle(core_, above->home);
  core_->parent = above;
  detail::hold_greenlet(above);
}

Value Greenlet::switch_to(Value value) const {
  const Greenlet kept(*this);  // the handle may be overwritten meanwhile
  return detail::switch_core(core_, std::move(value), nullptr);
}

Value Greenlet::throw_in(std::exception_ptr exception) const {
  const Greenlet kept(*this);
  if (exception == nullptr) exception = std::make_exception_ptr(GreenletExit());
  return detail::switch_core(core_, {}, std::move(exception));
}

bool Greenlet::started() const noexcept { return core_->state != GreenletState::kNew; }

bool Greenlet::dead() const noexcept { return core_->state == GreenletState::kDead; }

Greenlet Greenlet::parent() const& noexcept {
  if (core_->parent == nullptr) return Greenlet();
  detail::hold_greenlet(core_->parent);
  return Greenlet(core_->parent);
}

void Greenlet::set_parent(const Greenlet& parent) const {
  if (!detail::is_at_home(core_, parent.core_->home)) {
    throw GreenletError("tendril: a parent of another OS thread");
  }
  for (const GreenletCore* up = parent.core_; up != nullptr; up = up->parent) {
    if (up == core_) throw GreenletError("tendril: a greenlet would become its own ancestor");
  }
  detail::hold_greenlet(parent.core_);
  if (GreenletCore* old = std::exchange(core_->parent, parent.core_)) {
    detail::release_greenlet(old);
  }
}

Greenlet Greenlet::current() {
  GreenletCore* core = detail::current_core();
  detail::hold_greenlet(core);
  return Greenlet(core);
}

GreenletTrace set_greenlet_trace(GreenletTrace trace) {
  detail::ThreadRecord* thread = detail::record_of(detail::require_fiber()).thread;
  return reinterpret_cast<GreenletTrace>(
      std::exchange(thread->greenlet_trace, reinterpret_cast<void (*)()>(trace)));
}

}  // namespace tendril
