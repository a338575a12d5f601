#include "runtime/sync/dead_end.hpp"

#include <sys/stat.h>

#include <string>

#include "runtime/hub/process.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/report.hpp"
#include "tendril/errors.hpp"

namespace tendril::detail {
namespace {

// Any other OS thread might do something that wakes us.
bool other_threads_exist() noexcept {
  struct stat tasks;
  return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink > 3;
}

std::string who_waits() {
  struct Waiting {
    FiberRecord* record;
    rt::WaitKind kind;
    const void* object;
  };
  constexpr size_t kMost = 20;
  Waiting waiting[kMost];
  size_t count = 0;
  size_t total = 0;
  rt::process().for_each_fiber([&](rt::Fiber* fiber) {
    ++total;
    if (count == kMost) return;
    waiting[count++] = {static_cast<FiberRecord*>(fiber->api), fiber->wait_kind,
                        fiber->wait_object};
  });
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const Waiting& w = waiting[i];
    char object[32];
    std::snprintf(object, sizeof object, " %p", w.object);
    text += "\n  ";
    text += w.record == nullptr         ? "a thread"
            : w.record->task != nullptr ? describe_task(*w.record->task)
                                        : "main";
    text += std::string(" waits: ") + rt::wait_kind_name(w.kind) + (w.object ? object : "");
  }
  if (total > count) text += "\n  and " + std::to_string(total - count) + " more";
  return text;
}

// On the hub, which shares the OS thread's identity where this is installed: it may allocate.
void on_dead_end(rt::Worker* worker) {
  if (other_threads_exist() || worker->root == nullptr || worker->root->api == nullptr) return;
  throw_into(*static_cast<FiberRecord*>(worker->root->api),
             std::make_exception_ptr(
                 LoopExit("tendril: would block for ever, nothing can wake these:" + who_waits())));
}

}  // namespace

void watch_for_dead_ends() noexcept {
  rt::ProcessHooks& hooks = rt::process().hooks;
  if (hooks.on_dead_end == nullptr) hooks.on_dead_end = on_dead_end;
}

}  // namespace tendril::detail
