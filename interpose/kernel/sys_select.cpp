// select(2), pselect6(2): their sets as an array for poll
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/poll_wait.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kWordBits = 64;

// The kernel's table of descriptors: it looks at no bit beyond it, so programs may pass a count
// that is larger than their sets. Ours is larger than the program knows; what it would be without
// us follows from the highest number that the program has.
int table_size(int most) noexcept {
  int highest = 0;
  auto* fds =
      static_cast<pollfd*>(rt::runtime_allocate(static_cast<size_t>(most) * sizeof(pollfd)));
  if (fds == nullptr) return most;
  for (int fd = 0; fd < most; ++fd) fds[fd] = {fd, 0, 0};
  if (poll_now(fds, static_cast<unsigned long>(most)) >= 0) {
    for (int fd = 0; fd < most; ++fd) {
      if ((fds[fd].revents & POLLNVAL) == 0 && !rt::is_hidden_descriptor(fd)) highest = fd;
    }
  }
  rt::runtime_free(fds);
  int size = kWordBits;
  while (size <= highest) size *= 2;
  return size < most ? size : most;
}

class SelectSets {
 public:
  ~SelectSets() { rt::runtime_free(memory_); }

  long load(int count, void* read, void* write, void* except) noexcept {
    if (count < 0) return -EINVAL;
    if (count > FD_SETSIZE) {
      rlimit limit{};
      rt::raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
      if (static_cast<rlim_t>(count) > limit.rlim_cur) count = static_cast<int>(limit.rlim_cur);
      count = table_size(count);
    }
    count_ = count;
    words_ = static_cast<size_t>((count + kWordBits - 1) / kWordBits);
    stored_words_ = words_;
    user_[0] = read;
    user_[1] = write;
    user_[2] = except;
    const size_t bytes =
        3 * words_ * sizeof(uint64_t) + static_cast<size_t>(count) * sizeof(pollfd);
    memory_ = static_cast<char*>(rt::runtime_allocate(bytes + 64));
    if (memory_ == nullptr) return -ENOMEM;
    bits_ = reinterpret_cast<uint64_t*>(memory_);
    fds_ = reinterpret_cast<pollfd*>(memory_ + 3 * words_ * sizeof(uint64_t));
    std::memset(bits_, 0, 3 * words_ * sizeof(uint64_t));
    for (int set = 0; set < 3; ++set) {
      if (user_[set] != nullptr &&
          copy_in_bytes(bits(set), user_[set], words_ * sizeof(uint64_t)) != 0) {
        return -EFAULT;
      }
    }
    for (int fd = 0; fd < count; ++fd) {
      short events = 0;
      if (has(0, fd)) events |= POLLIN;
      if (has(1, fd)) events |= POLLOUT;
      if (has(2, fd)) events |= POLLPRI;
      if (events != 0) fds_[used_++] = {fd, events, 0};
    }
    return 0;
  }

  pollfd* fds() noexcept { return fds_; }
  unsigned long used() const noexcept { return used_; }

  bool any_invalid() noexcept {
    bool found = false;
    for (unsigned long i = 0; i < used_; ++i) {
      if ((fds_[i].revents & POLLNVAL) == 0) continue;
      if (!is_path_only(fds_[i].fd)) {
        found = true;
      } else if (is_ready_for_select(fds_[i].fd)) {
        fds_[i].revents = POLLIN | POLLOUT | POLLPRI;
      } else {
        fds_[i] = {-1, 0, 0};
        found = true;
      }
    }
    return found;
  }

  // What was open when the call began, and no longer is, counts as ready in all sets.
  void note_closed() noexcept {
    for (unsigned long i = 0; i < used_; ++i) {
      if ((fds_[i].revents & POLLNVAL) != 0) fds_[i].revents = POLLIN | POLLOUT | POLLPRI;
    }
  }

  // Leaves out what lies beyond the table. False if something within it is not open.
  bool leave_out_invalid() noexcept {
    const int size = table_size(count_);
    for (unsigned long i = 0; i < used_; ++i) {
      if ((fds_[i].revents & POLLNVAL) != 0 && fds_[i].fd < size) return false;
      if (fds_[i].fd >= size) fds_[i] = {-1, 0, 0};
    }
    stored_words_ = static_cast<size_t>((size + kWordBits - 1) / kWordBits);
    return true;
  }

  // The count of bits that are set in the results.
  long collect() noexcept {
    std::memset(bits_, 0, 3 * words_ * sizeof(uint64_t));
    long total = 0;
    for (unsigned long i = 0; i < used_; ++i) {
      const short wanted = fds_[i].events;
      const short got = fds_[i].revents;
      // select(2), "Correspondence between select() and poll() notifications"
      const bool readable = (got & (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)) != 0;
      const bool writable = (got & (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)) != 0;
      if ((wanted & POLLIN) != 0 && readable) total += put(0, fds_[i].fd);
      if ((wanted & POLLOUT) != 0 && writable) total += put(1, fds_[i].fd);
      if ((wanted & POLLPRI) != 0 && (got & POLLPRI) != 0) total += put(2, fds_[i].fd);
    }
    return total;
  }

  // Writes the results over the program's sets. 0 or -EFAULT.
  long store() noexcept {
    for (int set = 0; set < 3; ++set) {
      if (user_[set] != nullptr &&
          copy_out_bytes(user_[set], bits(set), stored_words_ * sizeof(uint64_t)) != 0) {
        return -EFAULT;
      }
    }
    return 0;
  }

 private:
  // Opened with O_PATH: no file to poll, but open.
  static bool is_path_only(int fd) noexcept {
    return fd >= 0 && !rt::is_hidden_descriptor(fd) &&
           rt::raw_syscall(SYS_fcntl, fd, F_GETFD, 0) >= 0;
  }
  // The Linux kernel's answer depends on its version: in all sets (5.17), or in none.
  bool is_ready_for_select(int fd) noexcept {
    const size_t word = static_cast<size_t>(fd / kWordBits);
    auto* set = static_cast<uint64_t*>(rt::runtime_allocate((word + 1) * sizeof(uint64_t)));
    if (set == nullptr) return true;
    std::memset(set, 0, (word + 1) * sizeof(uint64_t));
    set[word] = uint64_t{1} << (fd % kWordBits);
    const timespec now{0, 0};
    const long result = rt::raw_syscall(SYS_pselect6, fd + 1, set, nullptr, nullptr, &now, nullptr);
    rt::runtime_free(set);
    return result > 0;
  }
  uint64_t* bits(int set) noexcept { return bits_ + static_cast<size_t>(set) * words_; }
  bool has(int set, int fd) noexcept {
    return (bits(set)[fd / kWordBits] >> (fd % kWordBits) & 1) != 0;
  }
  long put(int set, int fd) noexcept {
    bits(set)[fd / kWordBits] |= uint64_t{1} << (fd % kWordBits);
    return 1;
  }

  void* user_[3] = {};
  char* memory_ = nullptr;
  uint64_t* bits_ = nullptr;
  pollfd* fds_ = nullptr;
  size_t words_ = 0;
  size_t stored_words_ = 0;
  int count_ = 0;
  unsigned long used_ = 0;
};

long select_until(int count, void* read, void* write, void* except,
                  rt::Deadline deadline) noexcept {
  SelectSets sets;
  if (const long error = sets.load(count, read, write, except); error != 0) return error;
  for (bool all_were_open = false;;) {
    const FirstLook first = first_look(sets.fds(), sets.used());
    if (first.ready < 0) return first.ready;
    if (first.ready == 0) {
      all_were_open = true;
      const long result = poll_after(first, sets.fds(), sets.used(), deadline);
      if (result < 0) return result;
    }
    if (sets.any_invalid()) {
      if (all_were_open) {
        sets.note_closed();
      } else {
        if (!sets.leave_out_invalid()) return -EBADF;
        continue;
      }
    }
    all_were_open = true;
    const long ready = sets.collect();
    // Ready in poll's sense but in none of the sets that were asked for (a hang-up on a descriptor
    // in the exceptional set only): select does not end for that.
    if (ready != 0 || deadline <= rt::monotonic_now()) {
      const long error = sets.store();
      return error != 0 ? error : ready;
    }
    if (current_thread()->trying) return -kWouldWait;
    const rt::Deadline soon = rt::deadline_after(1'000'000);
    if (rt::sleep_until(soon < deadline ? soon : deadline) == rt::WakeReason::kInterrupted) {
      return -EINTR;
    }
  }
}

}  // namespace

long sys_select(int count, void* read, void* write, void* except, timeval* timeout) {
  rt::Deadline deadline = rt::kForever;
  if (timeout != nullptr) {
    timeval limit;
    if (copy_in(&limit, timeout) != 0) return -EFAULT;
    constexpr suseconds_t kMicrosPerSecond = 1'000'000;
    timespec whole{0, limit.tv_usec % kMicrosPerSecond * 1000};
    if (__builtin_add_overflow(limit.tv_sec, limit.tv_usec / kMicrosPerSecond, &whole.tv_sec) ||
        limit.tv_sec < 0 || limit.tv_usec < 0) {
      return -EINVAL;
    }
    deadline = rt::deadline_after(rt::to_nanoseconds(whole));
  }
  const long result = select_until(count, read, write, except, deadline);
  if (result == -kWouldWait) return result;
  if (timeout != nullptr) {
    const rt::Nanoseconds left = time_left(deadline);
    const timeval rest{static_cast<time_t>(left / rt::kNanosPerSecond),
                       static_cast<suseconds_t>(left % rt::kNanosPerSecond / 1000)};
    copy_out(timeout, rest);
  }
  return result == -EINTR ? -kRestartNoHandler : result;
}

long sys_pselect6(int count, void* read, void* write, void* except, timespec* timeout,
                  const void* mask) {
  struct {
    const uint64_t* set;
    size_t size;
  } packed{nullptr, 0};
  if (mask != nullptr && copy_in(&packed, mask) != 0) return -EFAULT;
  rt::Deadline deadline;
  if (const long error = load_limit(timeout, &deadline); error != 0) return error;
  TemporaryMask temporary;
  if (const long error = temporary.set(packed.set, packed.size); error != 0) return error;
  const long result = select_until(count, read, write, except, deadline);
  return finish_poll(result, temporary, timeout, deadline);
}

}  // namespace tendril::kernel
