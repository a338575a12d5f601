#include "runtime/loop/uv_loop.hpp"

#include <uv.h>

#include "runtime/hub/embedded_loop.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::rt {
namespace {

class UvLoop final : public EmbeddedLoop {
 public:
  // False if there is no loop then.
  bool init() noexcept { return uv_loop_init(&loop_) == 0; }
  uv_loop_t* loop() noexcept { return &loop_; }

  int descriptor() const noexcept override { return uv_backend_fd(&loop_); }
  bool is_alive() const noexcept override { return uv_loop_alive(&loop_) != 0; }

  Nanoseconds timeout() noexcept override {
    uv_update_time(&loop_);  // it counts from the time it last saw
    const int milliseconds = uv_backend_timeout(&loop_);
    return milliseconds < 0 ? kForever : milliseconds * Nanoseconds{1'000'000};
  }

  void run() noexcept override { uv_run(&loop_, UV_RUN_NOWAIT); }

  void close() noexcept override {
    const auto close_handle = [](uv_handle_t* handle, void*) {
      if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
    };
    uv_walk(&loop_, close_handle, nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
    runtime_delete(this);
  }

 private:
  uv_loop_t loop_{};
};

}  // namespace

uv_loop_s* uv_loop_here() noexcept {
  Worker* worker = current_worker_unchecked();
  // Nobody else embeds one.
  if (worker->loop() != nullptr) return static_cast<UvLoop*>(worker->loop())->loop();
  auto* made = runtime_new<UvLoop>();
  if (made == nullptr || !made->init()) {
    runtime_delete(made);
    return nullptr;
  }
  if (worker->embed(made)) return made->loop();
  made->close();
  return nullptr;
}

}  // namespace tendril::rt
