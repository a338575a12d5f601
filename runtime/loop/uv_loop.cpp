// The libuv loop of a worker, made when somebody asks for it.
#include <uv.h>

#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::rt {

uv_loop_s* Worker::loop() noexcept {
  if (loop_ != nullptr) return loop_;
  auto* loop = runtime_new<uv_loop_t>();
  if (loop == nullptr || uv_loop_init(loop) != 0) {
    runtime_delete(loop);
    return nullptr;
  }
  if (!poller->watch_internal(uv_backend_fd(loop), Poller::Internal::kLoop)) {
    uv_loop_close(loop);
    runtime_delete(loop);
    return nullptr;
  }
  loop_ = loop;
  return loop_;
}

void Worker::close_loop() noexcept {
  if (loop_ == nullptr) return;
  const auto close_handle = [](uv_handle_t* handle, void*) {
    if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
  };
  uv_walk(loop_, close_handle, nullptr);
  uv_run(loop_, UV_RUN_DEFAULT);
  uv_loop_close(loop_);
  runtime_delete(loop_);
  loop_ = nullptr;
}

}  // namespace tendril::rt
