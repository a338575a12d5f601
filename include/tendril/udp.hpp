// Datagrams: UDP and Unix. (gevent: socket.SOCK_DGRAM)
#pragma once

#include <cstddef>
#include <string_view>

#include "tendril/address.hpp"
#include "tendril/time.hpp"

namespace tendril {

// Move-only; closes itself. Any number of fibers may send and receive at once.
class DatagramSocket {
 public:
  DatagramSocket() noexcept = default;
  // Bound to nothing yet. Throws std::system_error, as all that follows.
  explicit DatagramSocket(int family);
  // Bound to the address; a port of 0 chooses one.
  explicit DatagramSocket(const SocketAddress& address, bool reuse_port = false);
  DatagramSocket(DatagramSocket&& other) noexcept;
  DatagramSocket& operator=(DatagramSocket&& other) noexcept;
  ~DatagramSocket();

  // One datagram, cut to `bytes`; tells from whom. Throws TimeoutError.
  size_t receive_from(void* buffer, size_t bytes, SocketAddress& from);
  size_t receive(void* buffer, size_t bytes);
  void send_to(std::string_view data, const SocketAddress& to);
  // To whom it is connected.
  void send(std::string_view data);
  // Sends to this address by itself, receives from it only. Never waits.
  void connect(const SocketAddress& to);

  SocketAddress local_address() const;
  void set_timeout(Duration timeout) noexcept { timeout_ = timeout; }
  Duration timeout() const noexcept { return timeout_; }
  int fd() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  int release() noexcept;
  void close();

 private:
  int fd_ = -1;
  Duration timeout_ = kForever;
};

}  // namespace tendril
