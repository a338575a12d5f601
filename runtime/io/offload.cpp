#include "tendril/offload.hpp"

#include <system_error>

#include "runtime/hub/interposed.hpp"
#include "runtime/loop/uv_requests.hpp"
#include "runtime/sync/attention.hpp"
#include "tendril/errors.hpp"
#include "tendril/fiber.hpp"

namespace tendril::detail {
namespace {

struct Request final : rt::WorkRequest {
  explicit Request(std::shared_ptr<OffloadedCall> c) : call(std::move(c)) {}
  void run() noexcept override { call->run(); }
  void done() noexcept override { call->done.set(); }
  std::shared_ptr<OffloadedCall> call;
};

}  // namespace

void run_offloaded(const std::shared_ptr<OffloadedCall>& call, Duration timeout) {
  require_fiber();
  if (rt::is_interposed()) {
    spawn_raw([call] {
      call->run();
      call->done.set();
    });
  } else if (const int error = rt::queue_work(new Request(call)); error != 0) {
    throw std::system_error(error, std::generic_category(), "offload");
  }
  if (!call->done.wait(timeout)) throw TimeoutError("offload");
}

}  // namespace tendril::detail
