#include "tendril/socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "tendril/io.hpp"

namespace tendril {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void set(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) fail("setsockopt");
}

SocketAddress ask(int (*call)(int, sockaddr*, socklen_t*), int fd, const char* what) {
  SocketAddress address;
  if (call(fd, address.data(), address.size_for_result()) != 0) fail(what);
  return address;
}

// A path is left behind by a server that has died; one that lives answers.
void remove_if_stale(const SocketAddress& address) {
  if (address.family() != AF_UNIX || address.path().starts_with('@')) return;
  const SocketStream probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.is_open() && ::connect(probe.fd(), address.data(), address.size()) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(address.path().c_str());
  }
}

}  // namespace

SocketAddress SocketStream::local_address() const { return ask(getsockname, fd(), "getsockname"); }
SocketAddress SocketStream::peer_address() const { return ask(getpeername, fd(), "getpeername"); }
void SocketStream::set_option(int level, int name, int value) { set(fd(), level, name, value); }
void SocketStream::set_no_delay(bool on) { set(fd(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); }

Listener::Listener(const SocketAddress& address, const ListenOptions& options) {
  remove_if_stale(address);
  // Not blocking, so that one whose connection a sibling process has taken goes on waiting here.
  fd_ = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) fail("socket");
  try {
    if (address.is_ip()) set(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) set(fd_, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family() == AF_INET6) {
      set(fd_, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only ? 1 : 0);
    }
    if (::bind(fd_, address.data(), address.size()) != 0) fail("bind");
    if (::listen(fd_, options.backlog) != 0) fail("listen");
  } catch (...) {
    ::close(release());
    throw;
  }
}

Listener Listener::inherited(int fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) fail("inherited listener");
  if (listens == 0) {
    errno = EINVAL;
    fail("inherited listener");
  }
  Listener listener;
  listener.fd_ = fd;
  return listener;
}

int Listener::inherited_count() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::atol(pid) != getpid()) return 0;
  return std::atoi(count);
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    Listener old;
    old.fd_ = std::exchange(fd_, other.release());
  }
  return *this;
}

Listener::~Listener() {
  try {
    close();
  } catch (const std::system_error&) {
    // It is gone, and a destructor has nobody to tell.
  }
}

SocketStream Listener::accept(SocketAddress* peer, Duration timeout) {
  if (peer == nullptr) return SocketStream(io::accept(fd_, nullptr, nullptr, timeout));
  return SocketStream(io::accept(fd_, peer->data(), peer->size_for_result(), timeout));
}

SocketAddress Listener::address() const { return ask(getsockname, fd_, "getsockname"); }

int Listener::release() noexcept { return std::exchange(fd_, -1); }

void Listener::close() {
  if (fd_ >= 0) io::close(release());
}

std::pair<SocketStream, SocketStream> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  return {SocketStream(ends[0]), SocketStream(ends[1])};
}

}  // namespace tendril
