#include "runtime/sync/thread.hpp"

#include <unistd.h>

#include <system_error>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/sync/dead_end.hpp"
#include "runtime/sync/greenlet_core.hpp"
#include "runtime/sync/locals.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/workers.hpp"

namespace tendril::detail {
namespace {

// The record of a flow of control that the API did not make: the fiber that an OS thread began
// with, or a green thread. Ends with the thread.
struct ForeignRecord : FiberRecord {
  bool adopted = false;  // and the worker is ours to release

  ~ForeignRecord() {
    // At exit of the process, other threads run on and nothing is taken down.
    if (fiber == nullptr || getpid() == rt::raw_syscall(SYS_gettid)) return;
    destroy_locals(*this);
    if (adopted) kill_all_here();
    end_root_greenlet(*this);
    static_cast<rt::Fiber*>(fiber)->api = nullptr;
    fiber = nullptr;
    if (!adopted) return;
    rt::process().remove_fiber(rt::current_fiber());
    rt::Worker::release_this_thread();
  }
};

thread_local ForeignRecord foreign_record;

}  // namespace

rt::Worker* become_worker() {
  if (const auto hook = rt::process().hooks.before_adopt; hook != nullptr) {
    hook();
    if (rt::on_worker) return rt::current_worker_unchecked();
  }
  rt::Fiber* root = rt::take_fiber();
  if (root == nullptr) throw std::system_error(ENOMEM, std::generic_category(), "tendril");
  rt::adopt_current_thread(*root, /*shared=*/true);
  int error = 0;
  rt::Worker* worker = rt::Worker::adopt_this_thread(root, nullptr, 0, &error);
  if (worker == nullptr) {
    rt::give_back_fiber(root);
    throw std::system_error(error, std::generic_category(), "tendril: no worker for this thread");
  }
  __builtin_strcpy(root->name, "main");
  rt::process().add_fiber(root);
  note_worker(worker);
  foreign_record.adopted = true;
  make_record(root);
  watch_for_dead_ends();
  return worker;
}

// The thread-local is seen through the FS base of the fiber, which must therefore be running and
// have an FS base of its own, or be the one that its OS thread began with.
FiberRecord& make_record(rt::Fiber* fiber) {
  rt::pin_current_fiber();  // to the hub that will run what it spawns
  rt::require(foreign_record.fiber == nullptr, "a fiber without a record on a shared FS base");
  foreign_record.fiber = fiber;
  foreign_record.family = &foreign_record;
  fiber->api = &foreign_record;
  return foreign_record;
}

FiberRecord& current_record() { return record_of(this_worker()->current); }

}  // namespace tendril::detail
