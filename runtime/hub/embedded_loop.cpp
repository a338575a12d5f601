#include "runtime/hub/embedded_loop.hpp"

#include <atomic>

#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"

namespace tendril::rt {
namespace {

std::atomic<size_t> threads{0};

}  // namespace

size_t embedded_loop_threads() noexcept { return threads.load(std::memory_order_relaxed); }

void set_embedded_loop_threads(size_t count) noexcept {
  threads.store(count, std::memory_order_relaxed);
}

bool Worker::embed(EmbeddedLoop* loop) noexcept {
  if (!poller->watch_internal(loop->descriptor(), Poller::Internal::kLoop)) return false;
  loop_ = loop;
  return true;
}

void Worker::close_loop() noexcept {
  if (loop_ == nullptr) return;
  loop_->close();
  loop_ = nullptr;
}

}  // namespace tendril::rt
