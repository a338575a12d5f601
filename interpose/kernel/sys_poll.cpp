// poll(2), ppoll(2)
#include <poll.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/poll_wait.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {
namespace {

// An array that can be read but not written: the kernel finds that out when it has waited.
long poll_in_vain(const pollfd* fds, unsigned long count, rt::Deadline deadline) noexcept {
  const size_t size = count * sizeof(pollfd);
  auto* copy = static_cast<pollfd*>(rt::runtime_allocate(size + sizeof(pollfd)));
  if (copy == nullptr) return -ENOMEM;
  long result = -EFAULT;
  const bool readable = size == 0 || copy_in_bytes(copy, fds, size) == 0;
  if (readable && poll_until(copy, count, deadline) == -kWouldWait) {
    result = -kWouldWait;
    current_thread()->progress = {};  // the full call has to find that out as well
  }
  rt::runtime_free(copy);
  return result;
}

// The whole of poll once its arguments but for the array are known to be good.
long poll_array(pollfd* fds, unsigned long count, rt::Deadline deadline) noexcept {
  const FirstLook first = first_look(fds, count);
  return first.ready == -EFAULT ? poll_in_vain(fds, count, deadline)
                                : poll_after(first, fds, count, deadline);
}

}  // namespace

long sys_poll(pollfd* fds, unsigned long count, int timeout_ms) {
  const long result = poll_array(fds, count, deadline_of_milliseconds(timeout_ms));
  return result == -EINTR ? -kRestartNoHandler : result;
}

long sys_ppoll(pollfd* fds, unsigned long count, timespec* timeout, const uint64_t* mask,
               size_t mask_size) {
  rt::Deadline deadline;
  if (const long error = load_limit(timeout, &deadline); error != 0) return error;
  TemporaryMask temporary;
  if (const long error = temporary.set(mask, mask_size); error != 0) return error;
  const long result = poll_array(fds, count, deadline);
  return finish_poll(result, temporary, timeout, deadline);
}

}  // namespace tendril::kernel
