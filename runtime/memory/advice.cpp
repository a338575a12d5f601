#include "runtime/memory/advice.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr long kSelf = -10000;  // PIDFD_SELF_THREAD, Linux 6.14; an unknown descriptor before

// Cleared for good by a kernel that does not know this use of the call.
constinit std::atomic<bool> works_for_many{true};

// A filter that lets madvise through may end the process for a call that it does not know.
bool is_filtered() noexcept { return raw_syscall(SYS_prctl, PR_GET_SECCOMP) != 0; }

// How many of the places have got it, all of them if the kernel knows this use of the call.
size_t advise_many(const iovec* places, size_t count, int advice) noexcept {
  const long advised = raw_syscall(SYS_process_madvise, kSelf, places, count, advice, 0);
  if (advised == -EBADF || advised == -EINVAL || advised == -ENOSYS || advised == -EPERM) {
    works_for_many.store(false, std::memory_order_relaxed);
  }
  size_t done = 0;
  for (long left = advised; done < count; ++done) {
    left -= static_cast<long>(places[done].iov_len);
    if (left < 0) break;
  }
  return done;
}

}  // namespace

size_t advise_places(const iovec* places, size_t count, int advice) noexcept {
  size_t done = 0;
  if (count > 1 && works_for_many.load(std::memory_order_relaxed) && !is_filtered()) {
    done = advise_many(places, count, advice);
  }
  while (done < count &&
         raw_syscall(SYS_madvise, places[done].iov_base, places[done].iov_len, advice) == 0) {
    ++done;
  }
  return done;
}

size_t advise_each(char* first, size_t stride, size_t count, size_t bytes, int advice) noexcept {
  size_t done = 0;
  while (done < count) {
    iovec places[kPlacesAtOnce];
    const size_t now = std::min(count - done, kPlacesAtOnce);
    for (size_t i = 0; i < now; ++i) places[i] = {first + (done + i) * stride, bytes};
    const size_t advised = advise_places(places, now, advice);
    done += advised;
    if (advised < now) break;
  }
  return done;
}

void fill_pages(void* first, size_t bytes) noexcept {
  raw_syscall(SYS_madvise, first, bytes, MADV_POPULATE_WRITE);
}

}  // namespace tendril::rt
