#include "tendril/tcp.hpp"

#include <cerrno>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <variant>

#include "tendril/errors.hpp"
#include "tendril/io.hpp"
#include "tendril/queue.hpp"
#include "tendril/scope.hpp"
#include "tendril/wait.hpp"

namespace tendril {
namespace {

SocketStream connect_from(const SocketAddress& address, const std::optional<SocketAddress>& local,
                          Duration timeout) {
  SocketStream stream(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!stream.is_open()) throw std::system_error(errno, std::generic_category(), "socket");
  if (local && ::bind(stream.fd(), local->data(), local->size()) != 0) {
    throw std::system_error(errno, std::generic_category(), "bind");
  }
  io::connect(stream.fd(), address.data(), address.size(), timeout);
  return stream;
}

// The first family of the resolver's order first, then in turns.
std::vector<SocketAddress> interleave(const std::vector<SocketAddress>& addresses) {
  std::vector<SocketAddress> first;
  std::vector<SocketAddress> second;
  for (const SocketAddress& address : addresses) {
    (address.family() == addresses.front().family() ? first : second).push_back(address);
  }
  std::vector<SocketAddress> mixed;
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  return mixed;
}

using Outcome = std::variant<SocketStream, std::exception_ptr>;

}  // namespace

SocketStream connect(const SocketAddress& address, Duration timeout) {
  return connect_from(address, std::nullopt, timeout);
}

SocketStream create_connection(std::span<const SocketAddress> addresses,
                               const ConnectOptions& options) {
  if (addresses.empty()) throw std::invalid_argument("tendril: no address to connect to");
  if (addresses.size() == 1) {
    return connect_from(addresses.front(), options.local, options.timeout);
  }
  const detail::TimeLeft time(options.timeout);
  SimpleQueue<Outcome> outcomes;
  Scope attempts;  // ends the slower ones, whichever way we leave
  size_t begun = 0;
  size_t failed = 0;
  for (;;) {
    if (begun < addresses.size()) {
      attempts.spawn([&outcomes, &options, address = addresses[begun]] {
        try {
          outcomes.put(connect_from(address, options.local, kForever));
        } catch (const std::exception&) {
          outcomes.put(std::current_exception());
        }
      });
      ++begun;
    }
    const Duration left = time.left();
    auto outcome =
        outcomes.try_get(begun < addresses.size() ? std::min(left, options.attempt_delay) : left);
    if (!outcome) {
      if (time.left() > Duration::zero()) continue;  // slow: the next one joins in
      throw TimeoutError("connect");
    }
    if (auto* stream = std::get_if<SocketStream>(&*outcome)) {
      attempts.cancel();
      return std::move(*stream);
    }
    if (++failed == addresses.size()) std::rethrow_exception(std::get<1>(*outcome));
  }
}

SocketStream create_connection(std::string_view host, uint16_t port,
                               const ConnectOptions& options) {
  const detail::TimeLeft time(options.timeout);
  const auto addresses =
      interleave(resolve(host, port, {.family = options.family, .timeout = time.left()}));
  ConnectOptions rest = options;
  rest.timeout = time.left();
  return create_connection(addresses, rest);
}

Listener listen_tcp(std::string_view host, uint16_t port, const ListenOptions& options) {
  return Listener(resolve(host, port, {.passive = true}).front(), options);
}

}  // namespace tendril
