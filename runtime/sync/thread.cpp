#include "runtime/sync/thread.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/memory/object_pool.hpp"
#include "runtime/sync/dead_end.hpp"
#include "runtime/sync/fork.hpp"
#include "runtime/sync/greenlet_core.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/locals.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/workers.hpp"

namespace tendril::detail {

constinit const WorkerHead no_plain_worker{};
constinit thread_local const WorkerHead* plain_worker = &no_plain_worker;

namespace {

constinit rt::ObjectPool<ThreadRecord> thread_records;
std::atomic<uint64_t> thread_numbers{1};

// The record of a flow of control that the API did not make: what an OS thread, or a green thread,
// began with. Ends with the thread, and its fibers with it.
struct ForeignRecord : FiberRecord {
  bool adopted = false;  // and the worker is ours to release

  ~ForeignRecord() {
    // At exit of the process, other threads run on and nothing is taken down.
    if (fiber == nullptr || getpid() == gettid()) return;
    destroy_locals(*this);
    end_fibers_of(*this);
    end_root_greenlet(*this);
    part_from_fiber(*this);
    thread->number.store(0, std::memory_order_relaxed);
    thread_records.give_back(thread);
    if (!adopted) return;
    rt::Worker* worker = rt::current_worker_unchecked();
    rt::process().remove_fiber(worker->current);
    plain_worker = &no_plain_worker;
    rt::Worker::release_this_thread();
    note_worker_gone(worker);
    look_for_dead_end_at_thread_end();
  }
};

thread_local ForeignRecord foreign_record;

rt::ExceptionState* exception_state_of_thread() {
  return reinterpret_cast<rt::ExceptionState*>(abi::__cxa_get_globals());
}

}  // namespace

rt::Worker* become_worker() {
  if (const auto hook = rt::process().hooks.before_adopt; hook != nullptr) {
    if (!hook()) throw std::system_error(EAGAIN, std::generic_category(), "tendril: no worker");
    if (rt::on_worker) return rt::current_worker_unchecked();
  }
  rt::Fiber* root = rt::take_fiber();
  if (root == nullptr) throw std::system_error(ENOMEM, std::generic_category(), "tendril");
  rt::set_exception_state(exception_state_of_thread);
  rt::adopt_current_thread(*root, /*shared=*/true);
  int error = 0;
  rt::Worker* worker = rt::Worker::adopt_this_thread(root, nullptr, 0, &error);
  if (worker == nullptr) {
    rt::give_back_fiber(root);
    throw std::system_error(error, std::generic_category(), "tendril: no worker for this thread");
  }
  if (worker->waits_plainly) plain_worker = reinterpret_cast<const WorkerHead*>(worker);
  __builtin_strcpy(root->name, "main");
  note_worker(worker);
  foreign_record.adopted = true;
  make_record(root);
  rt::process().add_fiber(root);
  return worker;
}

// The thread-local is seen through the FS base of the fiber, which must therefore be running and
// have an FS base of its own, or be the one that its OS thread began with.
FiberRecord& make_record(rt::Fiber* fiber) {
  rt::pin_current_fiber();  // to the hub that will run what it spawns
  if (FiberRecord* kept = take_record_over_fork(); kept != nullptr) {
    kept->fiber = fiber;
    fiber->api = kept;
    return *kept;
  }
  rt::require(foreign_record.fiber == nullptr, "a fiber without a record on a shared FS base");
  ThreadRecord* thread = thread_records.take();
  if (thread == nullptr) throw std::bad_alloc();
  thread->number.store(thread_numbers.fetch_add(1, std::memory_order_relaxed),
                       std::memory_order_relaxed);
  thread->tid.store(gettid(), std::memory_order_relaxed);
  thread->own = &foreign_record;
  thread->greenlet_trace = nullptr;
  thread->in_run_workers = false;
  foreign_record.thread = thread;
  foreign_record.fiber = fiber;
  std::atomic_ref(fiber->api).store(&foreign_record, std::memory_order_release);
  watch_for_dead_ends();
  return foreign_record;
}

FiberRecord& current_record() { return record_of(running_fiber()); }

}  // namespace tendril::detail
