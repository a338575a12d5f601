// A connection of a stream socket that is being made by a call that may wait: connect(2), or a send
// that connects (TCP Fast Open).
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "interpose/kernel/blocking_io.hpp"

namespace tendril::kernel {

// Waits until the connection under way is made or has failed: 0. Else why that is not waited for
// any longer, -EAGAIN for the time limit of the socket. `seen`: the edges before it was begun.
long wait_for_connection(Transfer& transfer, uint32_t seen) noexcept;

// True if a blocking send may begin a connection: it says so itself, or connect has put it off
// until there is something to send (TCP_FASTOPEN_CONNECT).
inline bool may_connect(const Facts& facts, int flags) noexcept {
  return facts.kind == FdKind::kStream && ((flags & MSG_FASTOPEN) != 0 || facts.puts_off_connect);
}

// A connection is being made, or is put off.
bool is_connecting(int fd) noexcept;
// The outcome of a connection that a send has begun; makes the socket's state "connected" as a
// blocking send does.
long end_connection_by_send(int fd) noexcept;

// The beginning of such a send: `try_once` attempts it without waiting. How many bytes are sent by
// the time that the connection is there, where the send goes on without MSG_FASTOPEN; else its
// result. A hook's try leaves it to the full call, which could not tell what the try has begun.
template <typename Try>
long begin_connecting_send(Transfer& transfer, int flags, Try&& try_once) noexcept {
  if (current_thread()->trying) return -kWouldWait;
  const bool connects = (flags & MSG_FASTOPEN) != 0 || is_connecting(transfer.fd);
  const uint32_t seen = rt::Poller::edges(*transfer.state, rt::Direction::kWrite);
  const long begun = try_once();
  if (begun == -EAGAIN) return 0;  // it is connected, or somebody else connects it
  if (!connects || (begun < 0 && begun != -EINPROGRESS && begun != -EALREADY)) return begun;
  if (const long result = wait_for_connection(transfer, seen); result != 0) {
    return result == -EAGAIN && begun != 0 ? begun : result;
  }
  const long outcome = end_connection_by_send(transfer.fd);
  if (outcome < 0) return outcome;
  return begun < 0 ? 0 : begun;
}

}  // namespace tendril::kernel
