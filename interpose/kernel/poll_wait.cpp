#include "interpose/kernel/poll_wait.hpp"

#include <sys/epoll.h>

#include <new>
#include <utility>

#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_descriptors.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {
namespace {

// The whole of it: what a signalfd shows to this thread alone, the kernel does not know.
long look(pollfd* fds, unsigned long count) noexcept {
  const long ready = poll_now(fds, count);
  return signals().has_signalfds() ? add_shown_signals(fds, count, ready) : ready;
}

// The descriptor's edges are of the plain kinds.
uint32_t edges_of(short events) noexcept {
  uint32_t edges = static_cast<uint16_t>(events);
  if ((events & (POLLRDNORM | POLLRDBAND)) != 0) edges |= POLLIN | POLLPRI;
  if ((events & (POLLWRNORM | POLLWRBAND)) != 0) edges |= POLLOUT;
  return edges;
}

// Waiters on all descriptors of one call, which hold the open files from the first time on that
// they are added.
class WaiterSet {
 public:
  ~WaiterSet() {
    for (unsigned long i = 0; i < count_; ++i) {
      if (slots_[i].state != nullptr) {
        poller().end_poll(slots_[i].fd, *slots_[i].state, slots_[i].waiter);
      }
    }
    rt::runtime_free(waiters_);
  }

  bool reserve(const pollfd* fds, unsigned long count) noexcept {
    if (count <= kInline) {
      slots_ = inline_;
    } else {
      waiters_ = static_cast<Slot*>(rt::runtime_allocate(count * sizeof(Slot)));
      slots_ = waiters_;
    }
    if (slots_ == nullptr) return false;
    for (unsigned long i = 0; i < count; ++i) {
      Slot* slot = new (&slots_[i]) Slot;
      slot->fd = fds[i].fd;
      slot->waiter.events = edges_of(fds[i].events);
      slot->state = slot->fd >= 0 ? descriptors().state(slot->fd) : nullptr;
    }
    count_ = count;
    return true;
  }

  // False if no edge will tell of one of them.
  bool add_all(rt::WaitToken token) noexcept {
    bool all_watched = true;
    for (unsigned long i = 0; i < count_; ++i) {
      Slot& slot = slots_[i];
      slot.waiter.token = token;
      slot.waiter.told = 0;
      const bool is_watched = slot.state != nullptr
                                  ? poller().add_poller(slot.fd, *slot.state, slot.waiter)
                                  : slot.fd < 0;
      all_watched = all_watched && is_watched;
    }
    return all_watched;
  }

  void remove_all() noexcept {
    for (unsigned long i = 0; i < count_; ++i) {
      if (slots_[i].state != nullptr) poller().remove_poller(*slots_[i].state, slots_[i].waiter);
    }
  }

  // For who has waited on one descriptor, and been woken: what poll would say. 0: ask.
  short told() const noexcept {
    constexpr uint32_t kPlain = POLLIN | POLLPRI | POLLOUT | POLLRDHUP;
    static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI && POLLOUT == EPOLLOUT &&
                  POLLERR == EPOLLERR && POLLHUP == EPOLLHUP && POLLRDHUP == EPOLLRDHUP);
    const rt::PollWaiter& waiter = slots_[0].waiter;
    if ((waiter.events & ~kPlain) != 0) return 0;
    return static_cast<short>(waiter.told & (waiter.events | POLLERR | POLLHUP));
  }

  // For who has been woken. An event of a file that is held ends the wait, whatever has become of
  // its number, and so does the end of the time or a signal (`is_over`); what the call then says
  // is of the numbers, as in the Linux kernel. That one of them has lost its file is no event.
  long look_again(pollfd* fds, bool is_over) noexcept {
    for (;;) {
      if (poller().keeps_files()) follow_all();
      if (has_moved_ && !is_over) {
        const long events = look_at_held(fds);
        if (events <= 0) return events;
      }
      const long ready = look(fds, count_);
      const bool is_event = has_moved_ || ready == 0 || is_over;
      if (is_event || !poller().keeps_files() || !has_lost_number()) return ready;
    }
  }

  // The numbers stand for what is waited for, still.
  bool keeps_numbers() const noexcept {
    return !has_moved_ && (!poller().keeps_files() || !has_lost_number());
  }

 private:
  struct Slot {
    rt::PollWaiter waiter;
    rt::FdState* state = nullptr;
    int fd = -1;  // changes if it is closed meanwhile, see follow_all
  };

  static bool has_lost_number(const Slot& slot) noexcept {
    return slot.waiter.holds && slot.state->generation != slot.waiter.generation;
  }
  bool has_lost_number() const noexcept {
    for (unsigned long i = 0; i < count_; ++i) {
      if (has_lost_number(slots_[i])) return true;
    }
    return false;
  }
  // Goes on with the files under the numbers where they are kept. What could not be kept is asked
  // for by its number, whatever that stands for now.
  void follow_all() noexcept {
    for (unsigned long i = 0; i < count_; ++i) {
      Slot& slot = slots_[i];
      if (!has_lost_number(slot)) [[likely]]
        continue;
      const int keeper = poller().follow(*slot.state, slot.waiter.generation);
      slot.waiter.holds = keeper >= 0;
      if (keeper < 0) continue;
      slot.fd = keeper;
      slot.state = poller().state_if_known(keeper);
      slot.waiter.generation = slot.state->generation;
      has_moved_ = true;
    }
  }

  // How many of the files have something to say; `fds` stays as it is.
  [[gnu::cold, gnu::noinline]] long look_at_held(const pollfd* fds) noexcept {
    auto* held = static_cast<pollfd*>(rt::runtime_allocate(count_ * sizeof(pollfd)));
    if (held == nullptr) return -ENOMEM;
    long events = copy_in_bytes(held, fds, count_ * sizeof(pollfd));
    if (events == 0) {
      for (unsigned long i = 0; i < count_; ++i) held[i].fd = slots_[i].fd;
      events = look(held, count_);
    }
    rt::runtime_free(held);
    return events;
  }

  static constexpr unsigned long kInline = 6;
  Slot inline_[kInline];
  Slot* waiters_ = nullptr;
  Slot* slots_ = nullptr;
  unsigned long count_ = 0;
  bool has_moved_ = false;
};

// A signal that is to be delivered ends a poll that finds nothing, even one that does not wait.
bool has_signal() noexcept {
  GreenThread* thread = current_thread();
  return thread->fiber->interrupt_pending.load(std::memory_order_relaxed) &&
         signals().has_accepted(thread);
}

// A copy of the program's array, if that is short and can be read.
class FewDescriptors {
 public:
  FewDescriptors(const pollfd* fds, unsigned long count) noexcept {
    if (count <= kFew && copy_in_bytes(fds_, fds, count * sizeof(pollfd)) == 0) count_ = count;
  }

  // Changes whenever there is an edge on one of them, or one is replaced. 0: they are not known.
  // Whoever has read it before a look that found nothing need not look again while it stays the
  // same.
  uint32_t edges() const noexcept {
    uint32_t sum = count_ > 0 ? 1 : 0;
    for (unsigned long i = 0; i < count_; ++i) {
      const rt::FdState* s = fds_[i].fd >= 0 ? descriptors().state(fds_[i].fd) : nullptr;
      if (s == nullptr) continue;
      sum += s->generation + rt::Poller::edges(*s, rt::Direction::kRead) +
             rt::Poller::edges(*s, rt::Direction::kWrite);
    }
    return sum;
  }

  // The last read of each has found the end of what there was, and no edge has come since.
  bool are_known_empty() const noexcept {
    if (count_ == 0 || signals().has_signalfds()) return false;
    for (unsigned long i = 0; i < count_; ++i) {
      if (!is_known_empty(fds_[i])) return false;
    }
    return true;
  }

 private:
  static bool is_known_empty(const pollfd& one) noexcept {
    if (one.fd < 0 || one.events != POLLIN) return false;
    rt::FdState* s = descriptors().state(one.fd);
    Facts facts;
    return s != nullptr && rt::Poller::is_drained(*s, rt::Direction::kRead) &&
           descriptors().facts(one.fd, *s, &facts) == 0 && descriptors().carries_bytes_only(facts);
  }

  static constexpr unsigned long kFew = 6;
  pollfd fds_[kFew];
  unsigned long count_ = 0;
};

// On a kernel thread of the caller's own, where nobody else would run meanwhile. The Linux kernel
// takes from the limit what is over.
long poll_here(pollfd* fds, unsigned long count, rt::Deadline deadline) noexcept {
  timespec left = rt::to_timespec(deadline == rt::kForever ? 0 : time_left(deadline));
  const long limit = deadline == rt::kForever ? 0 : reinterpret_cast<long>(&left);
  const long ready = rt::current_worker_unchecked()->call_here(
      SYS_ppoll, {reinterpret_cast<long>(fds), static_cast<long>(count), limit, 0, 0, 0},
      rt::WaitKind::kPoll);
  return ready == 0 && has_signal() ? -EINTR : ready;
}

// What the one descriptor of `fds` was told to be ready for. 1, or -EFAULT.
long put_told(pollfd* fds, short told) noexcept {
  return copy_out(&fds->revents, told) != 0 ? -EFAULT : 1;
}

}  // namespace

FirstLook first_look(pollfd* fds, unsigned long count) noexcept {
  const Progress progress = std::exchange(current_thread()->progress, {});
  if (progress.tried) return {0, progress.generation, true};
  const FewDescriptors few(fds, count);
  const uint32_t edges = few.edges();
  return {few.are_known_empty() ? 0 : look(fds, count), edges, false};
}

long poll_after(const FirstLook& first, pollfd* fds, unsigned long count,
                rt::Deadline deadline) noexcept {
  if (first.ready != 0) return first.ready;
  if (!first.by_try && deadline <= rt::monotonic_now()) {
    // A program that polls in a loop must let those run who are to make it ready.
    rt::yield();
    const long ready = look(fds, count);
    return ready == 0 && has_signal() ? -EINTR : ready;
  }
  if (current_thread()->trying) {
    current_thread()->progress = {.bytes = 0, .generation = first.edges, .tried = true};
    return -kWouldWait;
  }
  if (rt::current_worker_unchecked()->reserved && !signals().has_signalfds()) {
    return poll_here(fds, count, deadline);
  }
  WaiterSet waiters;
  const SignalWatch watch;
  if (!waiters.reserve(fds, count)) return -ENOMEM;
  for (uint32_t edges = first.edges;;) {
    const rt::WaitToken token = rt::begin_wait(rt::WaitKind::kPoll, fds);
    const bool all_watched = waiters.add_all(token);
    // What became ready before we were listed. What has only been registered now the poller tells.
    const bool nothing_came = all_watched && edges != 0 && !signals().has_signalfds() &&
                              edges == FewDescriptors(fds, count).edges();
    long ready = nothing_came ? 0 : waiters.look_again(fds, /*is_over=*/false);
    if (ready != 0) {
      if (!rt::cancel_wait(token)) rt::park(rt::kForever);
      return ready;
    }
    const rt::Deadline soon =
        all_watched ? rt::kForever : rt::deadline_after(rt::kUnregisteredRetry);
    const rt::WakeReason reason = rt::park(soon < deadline ? soon : deadline);
    waiters.remove_all();
    if (count == 1 && reason == rt::WakeReason::kWoken && waiters.told() != 0 &&
        waiters.keeps_numbers()) {
      return put_told(fds, waiters.told());
    }
    const bool is_late = reason == rt::WakeReason::kTimeout && deadline <= rt::monotonic_now();
    const bool is_interrupted = reason == rt::WakeReason::kInterrupted && !watch.was_all();
    edges = waiters.keeps_numbers() ? FewDescriptors(fds, count).edges() : 0;
    ready = waiters.look_again(fds, is_late || is_interrupted);
    if (ready != 0) return ready;
    if (is_late) return has_signal() ? -EINTR : 0;
    if (is_interrupted) return -EINTR;
  }
}

long poll_until(pollfd* fds, unsigned long count, rt::Deadline deadline) noexcept {
  return poll_after(first_look(fds, count), fds, count, deadline);
}

}  // namespace tendril::kernel
