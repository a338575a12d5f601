// What a signalfd shows besides the signals that are pending in the Linux kernel: those that are
// pending here for the thread that looks. There are two kinds: what has been sent to one thread,
// for the kernel does not know green threads; and what was pending in the kernel until this thread
// let it through for the time of a ppoll, pselect or epoll_pwait.
//
// Nothing is kept about single descriptors: one may be a duplicate, come from another process, and
// be asked for other signals than when it was made. /proc tells, and is asked only when something
// is pending here that some signalfd has been asked for.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_state.hpp"

namespace tendril::kernel {

// Takes note of those that the process has when it becomes green; of one that came in a message.
void import_signal_descriptors() noexcept;
void note_if_signal_descriptor(int fd) noexcept;

// While it lives, the calling thread's waits end, as interrupted, when a signal comes that a
// descriptor is to show to it. Look for such signals after it has been made.
class SignalWatch {
 public:
  explicit SignalWatch(bool wanted = true) noexcept
      : thread_(wanted && signals().has_signalfds() ? current_thread() : nullptr) {
    if (thread_ != nullptr) thread_->watches_signalfds.store(true, std::memory_order_seq_cst);
  }
  ~SignalWatch() {
    if (thread_ != nullptr) thread_->watches_signalfds.store(false, std::memory_order_relaxed);
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // After a wait that was interrupted: true if it was for no more than such a signal.
  bool was_all() const noexcept;

 private:
  GreenThread* thread_;
};

// Adds to what the kernel says, `ready`, what it cannot know. The result of the whole call.
long add_shown_signals(pollfd* fds, unsigned long count, long ready) noexcept;
long add_shown_signals(int epoll, epoll_event* events, int capacity, long ready) noexcept;

// Reads signals that are pending here, if the descriptor is a signalfd. 0 if there are none.
long read_shown_signals(int fd, const iovec* vectors, int count) noexcept;

}  // namespace tendril::kernel
