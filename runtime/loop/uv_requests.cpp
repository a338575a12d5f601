#include "runtime/loop/uv_requests.hpp"

#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "runtime/hub/embedded_loop.hpp"
#include "runtime/loop/uv_loop.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::rt {
namespace {

struct Work {
  uv_work_t uv;
  std::unique_ptr<WorkRequest> request;
};

struct Lookup {
  uv_getaddrinfo_t uv;
  std::unique_ptr<LookupRequest> request;
};

struct Free {
  template <typename Request>
  void operator()(Request* request) const noexcept {
    runtime_delete(request);
  }
};

// libuv makes them all at the first request.
void note_pool() noexcept {
  if (embedded_loop_threads() != 0) return;
  const char* wanted = std::getenv("UV_THREADPOOL_SIZE");
  constexpr int kDefault = 4;
  constexpr int kMost = 1024;
  const int count = wanted != nullptr ? std::atoi(wanted) : kDefault;
  set_embedded_loop_threads(static_cast<size_t>(std::clamp(count, 1, kMost)));
}

// libuv's own numbers for what getaddrinfo says.
int eai_of(int status) noexcept {
  switch (status) {
    case 0:
      return 0;
    case UV_EAI_ADDRFAMILY:
      return EAI_ADDRFAMILY;
    case UV_EAI_AGAIN:
      return EAI_AGAIN;
    case UV_EAI_BADFLAGS:
      return EAI_BADFLAGS;
    case UV_EAI_FAIL:
      return EAI_FAIL;
    case UV_EAI_FAMILY:
      return EAI_FAMILY;
    case UV_EAI_MEMORY:
      return EAI_MEMORY;
    case UV_EAI_NODATA:
      return EAI_NODATA;
    case UV_EAI_NONAME:
      return EAI_NONAME;
    case UV_EAI_OVERFLOW:
      return EAI_OVERFLOW;
    case UV_EAI_SERVICE:
      return EAI_SERVICE;
    case UV_EAI_SOCKTYPE:
      return EAI_SOCKTYPE;
    default:
      return EAI_FAIL;
  }
}

}  // namespace

int queue_work(WorkRequest* request) noexcept {
  std::unique_ptr<WorkRequest> owned(request);
  uv_loop_t* loop = uv_loop_here();
  if (loop == nullptr) return EMFILE;
  auto* work = runtime_new<Work>(uv_work_t{}, std::move(owned));
  if (work == nullptr) return ENOMEM;
  work->uv.data = work;
  const int error = uv_queue_work(
      loop, &work->uv, [](uv_work_t* uv) { static_cast<Work*>(uv->data)->request->run(); },
      [](uv_work_t* uv, int) {
        const std::unique_ptr<Work, Free> ended(static_cast<Work*>(uv->data));
        ended->request->done();
      });
  if (error != 0) runtime_delete(work);
  note_pool();
  return -error;
}

int look_up(LookupRequest* request, const char* node, const char* service,
            const addrinfo& hints) noexcept {
  std::unique_ptr<LookupRequest> owned(request);
  uv_loop_t* loop = uv_loop_here();
  if (loop == nullptr) return EMFILE;
  auto* lookup = runtime_new<Lookup>(uv_getaddrinfo_t{}, std::move(owned));
  if (lookup == nullptr) return ENOMEM;
  lookup->uv.data = lookup;
  const int error = uv_getaddrinfo(
      loop, &lookup->uv,
      [](uv_getaddrinfo_t* uv, int status, addrinfo* list) {
        const std::unique_ptr<Lookup, Free> ended(static_cast<Lookup*>(uv->data));
        ended->request->done(eai_of(status), list);
      },
      node, service, &hints);
  if (error != 0) runtime_delete(lookup);
  note_pool();
  return -error;
}

}  // namespace tendril::rt
