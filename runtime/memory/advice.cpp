#include "runtime/memory/advice.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr long kSelf = -10000;  // PIDFD_SELF_THREAD, Linux 6.14; an unknown descriptor before
constexpr size_t kPlacesAtOnce = 64;

// Cleared for good by a kernel that does not know this use of the call.
constinit std::atomic<bool> works_for_many{true};

// A filter that lets madvise through may end the process for a call that it does not know.
bool is_filtered() noexcept { return raw_syscall(SYS_prctl, PR_GET_SECCOMP) != 0; }

size_t advise_many(char* first, size_t stride, size_t count, size_t bytes, int advice) noexcept {
  size_t done = 0;
  while (done < count) {
    iovec places[kPlacesAtOnce];
    const size_t now = std::min(count - done, kPlacesAtOnce);
    for (size_t i = 0; i < now; ++i) places[i] = {first + (done + i) * stride, bytes};
    const long advised = raw_syscall(SYS_process_madvise, kSelf, places, now, advice, 0);
    if (advised == -EBADF || advised == -EINVAL || advised == -ENOSYS || advised == -EPERM) {
      works_for_many.store(false, std::memory_order_relaxed);
    }
    if (advised < 0) return done;
    done += static_cast<size_t>(advised) / bytes;
    if (static_cast<size_t>(advised) < now * bytes) return done;
  }
  return done;
}

}  // namespace

size_t advise_each(char* first, size_t stride, size_t count, size_t bytes, int advice) noexcept {
  size_t done = 0;
  if (count > 1 && works_for_many.load(std::memory_order_relaxed) && !is_filtered()) {
    done = advise_many(first, stride, count, bytes, advice);
  }
  while (done < count && raw_syscall(SYS_madvise, first + done * stride, bytes, advice) == 0)
    ++done;
  return done;
}

void fill_pages(void* first, size_t bytes) noexcept {
  raw_syscall(SYS_madvise, first, bytes, MADV_POPULATE_WRITE);
}

}  // namespace tendril::rt
