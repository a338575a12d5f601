// Addresses of sockets: IPv4, IPv6 and Unix. (gevent: the tuples of socket)
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tendril {

class SocketAddress {
 public:
  SocketAddress() noexcept = default;  // of no family
  SocketAddress(const sockaddr* address, socklen_t size) noexcept;

  // From an address in numbers, "127.0.0.1" or "::1"; throws std::invalid_argument. Names are for
  // resolve().
  static SocketAddress ip(std::string_view host, uint16_t port);
  static SocketAddress loopback(uint16_t port) { return ip("127.0.0.1", port); }
  // A path; "@name" is a name of Linux's abstract space. Throws std::invalid_argument if too long.
  static SocketAddress local(std::string_view path);

  int family() const noexcept { return storage_.ss_family; }
  bool is_ip() const noexcept { return family() == AF_INET || family() == AF_INET6; }
  std::string host() const;        // in numbers; empty for a Unix address
  uint16_t port() const noexcept;  // 0 for a Unix address
  std::string path() const;        // of a Unix address; empty if it has none
  std::string to_string() const;   // "127.0.0.1:80", "[::1]:80", "/run/x"

  // For system calls; the size may be written by them, through the pointer.
  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  socklen_t* size_for_result() noexcept {
    size_ = sizeof storage_;
    return &size_;
  }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace tendril
