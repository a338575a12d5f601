#include "tendril/hub.hpp"

#include <algorithm>
#include <system_error>
#include <unordered_set>

#include "runtime/loop/uv_loop.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/wait.hpp"

namespace tendril {
namespace {

// Of the hub, too: its callbacks may look.
const detail::ThreadRecord* this_thread() {
  rt::Fiber* self = detail::running_fiber();
  return detail::record_of(detail::is_hub(self) ? self->worker->root : self).thread;
}

FiberState state_of(const detail::SeenFiber& seen) noexcept {
  if (seen.state == rt::FiberState::kRunning) return FiberState::kRunning;
  if (seen.wait_kind != rt::WaitKind::kNone) return FiberState::kWaiting;
  if (seen.handle && !seen.handle.started()) return FiberState::kNew;
  return FiberState::kReady;
}

FiberInfo info_of(const detail::SeenFiber& seen) {
  FiberInfo info{};
  info.fiber = seen.handle;
  info.state = state_of(seen);
  info.waits_for = info.state == FiberState::kWaiting ? rt::wait_kind_name(seen.wait_kind) : "";
  info.object = info.state == FiberState::kWaiting ? seen.wait_object : nullptr;
  info.thread = seen.tid;
  if (const detail::Task* task = seen.handle.task(); task != nullptr) {
    info.name = detail::name_of_task(task);
    info.spawned_at = task->where;
    info.number = task->number;
    info.spawned_by = task->spawned_by;
  } else {
    info.name = seen.begins_thread ? "main" : "greenlet";
  }
  return info;
}

std::vector<FiberInfo> list(const detail::ThreadRecord* thread) {
  std::vector<FiberInfo> infos;
  for (const detail::SeenFiber& seen : detail::look_at_fibers(thread)) {
    infos.push_back(info_of(seen));
  }
  return infos;
}

std::string describe(const FiberInfo& info) {
  std::string text = info.fiber ? detail::describe_task(*info.fiber.task()) : info.name;
  text += std::string(", ") + name_of(info.state);
  if (info.state == FiberState::kWaiting) text += std::string(": ") + info.waits_for;
  return text + '\n';
}

void print(const std::vector<FiberInfo>& all, const FiberInfo& one, size_t depth,
           std::string& text) {
  text.append(depth * 2, ' ');
  text += describe(one);
  if (one.number == 0) return;
  for (const FiberInfo& other : all) {
    if (other.spawned_by == one.number && other.thread == one.thread) {
      print(all, other, depth + 1, text);
    }
  }
}

// Those of one thread, from those that nobody of it spawned.
void print_thread(const std::vector<FiberInfo>& all, int thread, size_t depth, std::string& text) {
  std::unordered_set<unsigned long> numbers;
  for (const FiberInfo& info : all) {
    if (info.thread == thread && info.fiber) numbers.insert(info.number);
  }
  for (const FiberInfo& info : all) {
    const bool begins = info.thread == thread && info.fiber && !numbers.contains(info.spawned_by);
    if (begins) print(all, info, depth, text);
  }
}

}  // namespace

const char* name_of(FiberState state) noexcept {
  switch (state) {
    case FiberState::kNew:
      return "not begun";
    case FiberState::kReady:
      return "ready";
    case FiberState::kRunning:
      return "running";
    case FiberState::kWaiting:
      return "waits";
  }
  return "?";
}

uv_loop_s* Hub::loop() const {
  detail::current_record();  // pins a green thread to the worker whose loop it is given
  uv_loop_s* loop = rt::uv_loop_here();
  if (loop == nullptr) throw std::system_error(EMFILE, std::generic_category(), "tendril: no loop");
  return loop;
}

bool Hub::join(Duration timeout) const {
  const detail::TimeLeft left(timeout);
  const FiberHandle self = current_fiber();
  for (;;) {
    std::vector<FiberHandle> others;
    for (FiberInfo& info : list_fibers(Threads::kThis)) {
      if (info.fiber && !(info.fiber == self) && !info.fiber.ready()) {
        others.push_back(std::move(info.fiber));
      }
    }
    if (others.empty()) return true;
    for (const FiberHandle& other : others) {
      if (!other.join(left.left())) return false;
    }
  }
}

Hub this_hub() {
  detail::this_worker();
  return {};
}

std::vector<FiberInfo> list_fibers(Threads threads) {
  const detail::ThreadRecord* own = this_thread();
  return list(threads == Threads::kThis ? own : nullptr);
}

std::string fiber_tree(Threads threads) {
  const std::vector<FiberInfo> all = list_fibers(threads);
  std::string text;
  if (threads == Threads::kThis) {
    print_thread(all, this_thread()->tid.load(), 0, text);
    return text;
  }
  std::vector<int> tids;
  for (const FiberInfo& info : all) {
    if (std::find(tids.begin(), tids.end(), info.thread) == tids.end()) tids.push_back(info.thread);
  }
  for (const int tid : tids) {
    text += "thread " + std::to_string(tid) + "\n";
    for (const FiberInfo& info : all) {
      if (info.thread == tid && !info.fiber) text += "  " + describe(info);
    }
    print_thread(all, tid, 1, text);
  }
  return text;
}

}  // namespace tendril
