// Stream sockets and those that listen, TCP or Unix. (gevent: socket.socket)
#pragma once

#include "tendril/address.hpp"
#include "tendril/stream.hpp"

namespace tendril {

// A connected socket. Move-only; closes itself.
class SocketStream : public FdStream {
 public:
  using FdStream::FdStream;
  SocketAddress local_address() const;  // throws std::system_error
  SocketAddress peer_address() const;
  // setsockopt of an int. Throws std::system_error.
  void set_option(int level, int name, int value);
  void set_no_delay(bool on = true);  // TCP_NODELAY
};

struct ListenOptions {
  int backlog = 1024;
  bool reuse_port = false;  // SO_REUSEPORT: the kernel spreads connections over several listeners
  bool ipv6_only = false;
};

// A socket that accepts connections. Move-only; closes itself.
class Listener {
 public:
  Listener() noexcept = default;
  // Binds and listens. A port of 0 chooses one; a stale Unix socket, on which nobody listens, is
  // replaced. Throws std::system_error.
  explicit Listener(const SocketAddress& address, const ListenOptions& options = {});
  // Takes over a descriptor that listens already: from a service manager or a parent. It is left as
  // it is, whether it is O_NONBLOCK or not. Throws std::system_error if it does not listen.
  static Listener inherited(int fd);
  // How many descriptors a service manager hands over (systemd's LISTEN_FDS), from number 3 on; 0
  // if there is none.
  static int inherited_count();

  Listener(Listener&& other) noexcept : fd_(other.release()) {}
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  // Waits for a connection. Throws TimeoutError; std::system_error: EMFILE and the like, EBADF when
  // it was closed meanwhile.
  SocketStream accept(SocketAddress* peer = nullptr, Duration timeout = kForever);

  SocketAddress address() const;
  uint16_t port() const { return address().port(); }
  int fd() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  int release() noexcept;
  void close();

 private:
  int fd_ = -1;
};

// Two connected Unix sockets. (socket.socketpair)
std::pair<SocketStream, SocketStream> socket_pair();

}  // namespace tendril
