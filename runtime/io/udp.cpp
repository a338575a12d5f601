#include "tendril/udp.hpp"

#include <cerrno>
#include <utility>

#include "runtime/io/attempt.hpp"
#include "tendril/io.hpp"

namespace tendril {

using rt::raw_syscall;

DatagramSocket::DatagramSocket(int family) : fd_(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) io::fail(errno, "socket");
}

DatagramSocket::DatagramSocket(const SocketAddress& address, bool reuse_port)
    : DatagramSocket(address.family()) {
  const int on = 1;
  if (reuse_port && setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    io::fail(errno, "setsockopt");
  }
  if (::bind(fd_, address.data(), address.size()) != 0) io::fail(errno, "bind");
}

DatagramSocket::DatagramSocket(DatagramSocket&& other) noexcept
    : fd_(other.release()), timeout_(other.timeout_) {}

DatagramSocket& DatagramSocket::operator=(DatagramSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(timeout_, other.timeout_);
  return *this;
}

DatagramSocket::~DatagramSocket() {
  try {
    close();
  } catch (const std::system_error&) {
    // It is gone, and a destructor has nobody to tell.
  }
}

size_t DatagramSocket::receive_from(void* buffer, size_t bytes, SocketAddress& from) {
  const auto attempt = [&] {
    return raw_syscall(SYS_recvfrom, fd_, buffer, bytes, MSG_DONTWAIT, from.data(),
                       from.size_for_result());
  };
  return static_cast<size_t>(
      io::retry(fd_, io::Direction::kRead, timeout_, "receive", attempt, attempt));
}

size_t DatagramSocket::receive(void* buffer, size_t bytes) {
  SocketAddress from;
  return receive_from(buffer, bytes, from);
}

void DatagramSocket::send_to(std::string_view data, const SocketAddress& to) {
  const auto attempt = [&] {
    return raw_syscall(SYS_sendto, fd_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                       to.size() == 0 ? nullptr : to.data(), to.size());
  };
  io::retry(fd_, io::Direction::kWrite, timeout_, "send", attempt, attempt);
}

void DatagramSocket::send(std::string_view data) { send_to(data, {}); }

void DatagramSocket::connect(const SocketAddress& to) {
  if (::connect(fd_, to.data(), to.size()) != 0) io::fail(errno, "connect");
}

SocketAddress DatagramSocket::local_address() const {
  SocketAddress address;
  if (getsockname(fd_, address.data(), address.size_for_result()) != 0) {
    io::fail(errno, "getsockname");
  }
  return address;
}

int DatagramSocket::release() noexcept { return std::exchange(fd_, -1); }

void DatagramSocket::close() {
  if (fd_ >= 0) io::close(release());
}

}  // namespace tendril
