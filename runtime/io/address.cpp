#include "tendril/address.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace tendril {
namespace {

const sockaddr_in& v4(const SocketAddress& a) {
  return *reinterpret_cast<const sockaddr_in*>(a.data());
}
const sockaddr_in6& v6(const SocketAddress& a) {
  return *reinterpret_cast<const sockaddr_in6*>(a.data());
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) noexcept
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

SocketAddress SocketAddress::ip(std::string_view host, uint16_t port) {
  const std::string text(host);
  sockaddr_in four{};
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    return {reinterpret_cast<const sockaddr*>(&four), sizeof four};
  }
  sockaddr_in6 six{};
  const size_t percent = text.find('%');
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    if (percent != std::string::npos) {
      six.sin6_scope_id = if_nametoindex(text.c_str() + percent + 1);
    }
    return {reinterpret_cast<const sockaddr*>(&six), sizeof six};
  }
  throw std::invalid_argument("tendril: not an IP address: " + text);
}

SocketAddress SocketAddress::local(std::string_view path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  // A path ends with a zero byte, an abstract name begins with one.
  if (path.empty() || path.size() + (abstract ? 0 : 1) > sizeof un.sun_path) {
    throw std::invalid_argument("tendril: not a path for a Unix socket: " + std::string(path));
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  if (abstract) un.sun_path[0] = '\0';
  const size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
  return {reinterpret_cast<const sockaddr*>(&un), static_cast<socklen_t>(size)};
}

std::string SocketAddress::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) inet_ntop(AF_INET, &v4(*this).sin_addr, text, sizeof text);
  if (family() == AF_INET6) inet_ntop(AF_INET6, &v6(*this).sin6_addr, text, sizeof text);
  return text;
}

uint16_t SocketAddress::port() const noexcept {
  if (family() == AF_INET) return ntohs(v4(*this).sin_port);
  if (family() == AF_INET6) return ntohs(v6(*this).sin6_port);
  return 0;
}

std::string SocketAddress::path() const {
  constexpr size_t kBefore = offsetof(sockaddr_un, sun_path);
  if (family() != AF_UNIX || size_ <= kBefore) return {};
  const char* text = reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path;
  if (text[0] == '\0') return "@" + std::string(text + 1, size_ - kBefore - 1);
  return std::string(text, strnlen(text, size_ - kBefore));
}

std::string SocketAddress::to_string() const {
  switch (family()) {
    case AF_INET:
      return host() + ":" + std::to_string(port());
    case AF_INET6:
      return "[" + host() + "]:" + std::to_string(port());
    case AF_UNIX:
      return path();
    default:
      return {};
  }
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
  return a.size_ == b.size_ && std::memcmp(&a.storage_, &b.storage_, a.size_) == 0;
}

}  // namespace tendril
