#include "tendril/hub.hpp"

#include <system_error>
#include <unordered_set>
#include <vector>

#include "runtime/hub/process.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/fiber.hpp"
#include "tendril/wait.hpp"

namespace tendril {
namespace {

struct Seen {
  FiberHandle fiber;
  rt::WaitKind waits;
};

// Those of the calling OS thread: their records cannot go away under us.
std::vector<Seen> fibers_here() {
  rt::Worker* me = detail::this_worker();
  std::vector<Seen> seen;
  size_t room = rt::process().live_fibers() + 16;
  seen.reserve(room);  // nothing is allocated under the list's lock
  rt::process().for_each_fiber([&](rt::Fiber* fiber) {
    if (fiber->worker != me || fiber->api == nullptr || room == 0) return;
    detail::Task* task = static_cast<detail::FiberRecord*>(fiber->api)->task;
    if (task == nullptr) return;
    --room;
    detail::hold_task(task);
    seen.push_back({FiberHandle::adopt(task), fiber->wait_kind});
  });
  return seen;
}

void print(const std::vector<Seen>& all, const Seen& one, size_t depth, std::string& text) {
  const detail::Task* task = one.fiber.task();
  text.append(depth * 2, ' ');
  text += detail::describe_task(*task);
  text += one.waits == rt::WaitKind::kNone
              ? std::string(one.fiber.started() ? ", ready" : ", not begun")
              : std::string(", waits: ") + rt::wait_kind_name(one.waits);
  text += '\n';
  for (const Seen& other : all) {
    if (other.fiber.task()->spawned_by == task->number) print(all, other, depth + 1, text);
  }
}

}  // namespace

uv_loop_s* Hub::loop() const {
  uv_loop_s* loop = detail::this_worker()->loop();
  if (loop == nullptr) throw std::system_error(EMFILE, std::generic_category(), "tendril: no loop");
  return loop;
}

bool Hub::join(Duration timeout) const {
  const detail::TimeLeft left(timeout);
  const FiberHandle self = current_fiber();
  for (;;) {
    std::vector<FiberHandle> others;
    for (const Seen& seen : fibers_here()) {
      if (!(seen.fiber == self) && !seen.fiber.ready()) others.push_back(seen.fiber);
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

std::string fiber_tree() {
  const std::vector<Seen> all = fibers_here();
  std::unordered_set<uint64_t> numbers;
  for (const Seen& seen : all) numbers.insert(seen.fiber.task()->number);
  std::string text;
  for (const Seen& seen : all) {
    if (!numbers.contains(seen.fiber.task()->spawned_by)) print(all, seen, 0, text);
  }
  return text;
}

}  // namespace tendril
