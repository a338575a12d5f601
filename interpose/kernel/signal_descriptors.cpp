#include "interpose/kernel/signal_descriptors.hpp"

#include <fcntl.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/io_vectors.hpp"
#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kMostNested = 4;  // epoll(7): sets in sets
// The lines of what /proc tells of a descriptor.
class InfoLines {
 public:
  explicit InfoLines(int fd) noexcept
      : file_(rt::raw_syscall(SYS_open, ProcPath("/proc/self/fdinfo/", fd).text(),
                              O_RDONLY | O_CLOEXEC)) {}
  ~InfoLines() {
    if (file_ >= 0) rt::raw_syscall(SYS_close, file_);
  }
  InfoLines(const InfoLines&) = delete;
  InfoLines& operator=(const InfoLines&) = delete;

  // Null at the end. Valid until the next.
  const char* next() noexcept {
    for (;;) {
      char* begin = text_ + begin_;
      if (void* end = std::memchr(begin, '\n', end_ - begin_); end != nullptr) {
        *static_cast<char*>(end) = '\0';
        begin_ = static_cast<size_t>(static_cast<char*>(end) - text_) + 1;
        return begin;
      }
      std::memmove(text_, begin, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
      const long got =
          file_ < 0 ? 0 : rt::raw_syscall(SYS_read, file_, text_ + end_, sizeof text_ - end_);
      if (got <= 0) return nullptr;
      end_ += static_cast<size_t>(got);
    }
  }

 private:
  long file_;
  size_t begin_ = 0;
  size_t end_ = 0;
  char text_[256];
};

// The number behind the name; false if the line does not have it.
bool find_number(const char* line, const char* name, int base, uint64_t* number) noexcept {
  const char* at = std::strstr(line, name);
  if (at == nullptr) return false;
  at += std::strlen(name);
  while (*at == ' ' || *at == '\t') ++at;
  *number = 0;
  for (;; ++at) {
    int digit = -1;
    if (*at >= '0' && *at <= '9') digit = *at - '0';
    if (*at >= 'a' && *at <= 'f') digit = *at - 'a' + 10;
    if (digit < 0 || digit >= base) return true;
    *number = *number * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
  }
}

struct Member {  // of an epoll set
  int fd;
  uint32_t events;
  uint64_t data;
};

bool find_member(const char* line, Member* member) noexcept {
  uint64_t fd;
  uint64_t events;
  if (!find_number(line, "tfd:", 10, &fd) || !find_number(line, "events:", 16, &events) ||
      !find_number(line, "data:", 16, &member->data)) {
    return false;
  }
  member->fd = static_cast<int>(fd);
  member->events = static_cast<uint32_t>(events);
  return true;
}

// What of `pending` the descriptor shows: a signalfd, or an epoll set that has one.
uint64_t shown_by(int fd, uint64_t pending, int depth = 0) noexcept {
  InfoLines lines(fd);
  uint64_t shown = 0;
  while (const char* line = lines.next()) {
    uint64_t mask;
    Member member;
    if (find_number(line, "sigmask:", 16, &mask)) return pending & mask;
    if (depth < kMostNested && find_member(line, &member) && (member.events & EPOLLIN) != 0) {
      shown |= shown_by(member.fd, pending, depth + 1);
    }
  }
  return shown;
}

bool is_anonymous(int fd) noexcept {
  rt::FdState* s = descriptors().state(fd);
  Facts facts;
  return s != nullptr && descriptors().facts(fd, *s, &facts) == 0 &&
         facts.kind == FdKind::kAnonymous;
}

bool is_readable_in_kernel(int fd) noexcept {
  pollfd probe{fd, POLLIN, 0};
  const timespec now{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0;
}

bool is_signal_descriptor(int fd) noexcept { return is_file_named(fd, "anon_inode:[signalfd]"); }

// As the kernel's signalfd_copyinfo and siginfo_layout do.
signalfd_siginfo describe(const siginfo_t& info) noexcept {
  signalfd_siginfo shown;
  std::memset(&shown, 0, sizeof shown);
  shown.ssi_signo = static_cast<uint32_t>(info.si_signo);
  shown.ssi_errno = info.si_errno;
  shown.ssi_code = info.si_code;
  const bool from_kernel = info.si_code > SI_USER && info.si_code < SI_KERNEL;
  if (from_kernel && info.si_signo == SIGCHLD) {
    shown.ssi_pid = static_cast<uint32_t>(info.si_pid);
    shown.ssi_uid = info.si_uid;
    shown.ssi_status = info.si_status;
    shown.ssi_utime = static_cast<uint64_t>(info.si_utime);
    shown.ssi_stime = static_cast<uint64_t>(info.si_stime);
  } else if (from_kernel && (signal_bit(info.si_signo) & kFaults) != 0) {
    shown.ssi_addr = reinterpret_cast<uint64_t>(info.si_addr);
    if (info.si_signo == SIGBUS) shown.ssi_addr_lsb = static_cast<uint16_t>(info.si_addr_lsb);
  } else if (from_kernel && info.si_signo == SIGSYS) {
    shown.ssi_call_addr = reinterpret_cast<uint64_t>(info.si_call_addr);
    shown.ssi_syscall = info.si_syscall;
    shown.ssi_arch = info.si_arch;
  } else if (from_kernel || info.si_code == SI_SIGIO) {
    shown.ssi_band = static_cast<uint32_t>(info.si_band);
    shown.ssi_fd = info.si_fd;
  } else if (info.si_code == SI_TIMER) {
    shown.ssi_tid = static_cast<uint32_t>(info.si_timerid);
    shown.ssi_overrun = static_cast<uint32_t>(info.si_overrun);
    shown.ssi_ptr = reinterpret_cast<uint64_t>(info.si_ptr);
    shown.ssi_int = info.si_int;
  } else {
    shown.ssi_pid = static_cast<uint32_t>(info.si_pid);
    shown.ssi_uid = info.si_uid;
    if (info.si_code < 0) {
      shown.ssi_ptr = reinterpret_cast<uint64_t>(info.si_ptr);
      shown.ssi_int = info.si_int;
    }
  }
  return shown;
}

// Copies bytes to where the vectors point, of which `done` have been written.
long scatter(IoVectors& rest, size_t done, const void* from, size_t size) noexcept {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    rest.skip_to(done);
    const iovec& part = *rest.data();
    const size_t fits = part.iov_len < size ? part.iov_len : size;
    if (copy_out_bytes(part.iov_base, at, fits) != 0) return -EFAULT;
    at += fits;
    done += fits;
    size -= fits;
  }
  return 0;
}

uint64_t pending_here() noexcept { return signals().pending_for_signalfds(current_thread()); }

}  // namespace

void import_signal_descriptors() noexcept {
  for_each_own_descriptor([](int fd) {
    if (is_signal_descriptor(fd)) signals().import_signalfd(shown_by(fd, ~uint64_t{0}));
  });
}

void note_if_signal_descriptor(int fd) noexcept {
  if (is_signal_descriptor(fd)) signals().note_signalfd(shown_by(fd, ~uint64_t{0}));
}

bool SignalWatch::was_all() const noexcept {
  if (thread_ == nullptr) return false;
  post_arrived_signals();
  return !signals().has_accepted(thread_);
}

long add_shown_signals(pollfd* fds, unsigned long count, long ready) noexcept {
  const uint64_t pending = pending_here();
  if (pending == 0 || ready < 0) return ready;
  for (unsigned long i = 0; i < count; ++i) {
    pollfd entry;
    if (copy_in(&entry, &fds[i]) != 0) return -EFAULT;
    const bool asks = entry.fd >= 0 && (entry.events & POLLIN) != 0;
    if (!asks || (entry.revents & POLLIN) != 0 || !is_anonymous(entry.fd) ||
        shown_by(entry.fd, pending) == 0) {
      continue;
    }
    if (entry.revents == 0) ++ready;
    entry.revents = static_cast<short>(entry.revents | POLLIN);
    if (copy_out(&fds[i].revents, entry.revents) != 0) return -EFAULT;
  }
  return ready;
}

long add_shown_signals(int epoll, epoll_event* events, int capacity, long ready) noexcept {
  const uint64_t pending = pending_here();
  if (ready < 0) return ready;
  GreenThread* thread = current_thread();
  thread->shown_by_edge &= pending;
  if (pending == 0) return ready;
  InfoLines lines(epoll);
  while (const char* line = ready < capacity ? lines.next() : nullptr) {
    Member member;
    if (!find_member(line, &member) || (member.events & EPOLLIN) == 0) continue;
    uint64_t shown = shown_by(member.fd, pending);
    if ((member.events & EPOLLET) != 0) shown &= ~thread->shown_by_edge;
    if (shown == 0 || is_readable_in_kernel(member.fd)) continue;
    epoll_event event{};
    event.data.u64 = member.data;
    if ((member.events & EPOLLET) != 0) thread->shown_by_edge |= shown;
    if ((member.events & EPOLLONESHOT) != 0) {
      event.events = member.events & (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP);
      rt::raw_syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_MOD, member.fd, &event);
    }
    event.events = EPOLLIN;
    if (copy_out(&events[ready], event) != 0) return ready > 0 ? ready : -EFAULT;
    ++ready;
  }
  return ready;
}

long read_shown_signals(int fd, const iovec* vectors, int count) noexcept {
  constexpr int kRwfNowait = 8;
  const uint64_t pending = pending_here();
  if (pending == 0 || !is_signal_descriptor(fd)) return 0;
  const uint64_t wanted = shown_by(fd, ~uint64_t{0});
  IoVectors rest;
  if (rest.load(vectors, count) != 0) return 0;  // the kernel says what is wrong
  size_t done = 0;
  siginfo_t info;
  while (rest.total() - done >= sizeof(signalfd_siginfo) &&
         signals().take_waited_for(current_thread(), wanted, &info) != 0) {
    const signalfd_siginfo shown = describe(info);
    if (scatter(rest, done, &shown, sizeof shown) != 0) return -EFAULT;
    done += sizeof shown;
  }
  if (done == 0) return 0;
  rest.skip_to(done);
  const long more = rest.count() == 0 ? 0
                                      : rt::raw_syscall(SYS_preadv2, fd, rest.data(), rest.count(),
                                                        -1L, -1L, kRwfNowait);
  return static_cast<long>(done) + (more > 0 ? more : 0);
}

}  // namespace tendril::kernel
