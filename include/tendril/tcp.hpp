// TCP: connections by name, and listeners. (gevent: socket.create_connection)
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "tendril/resolver.hpp"
#include "tendril/socket.hpp"

namespace tendril {

struct ConnectOptions {
  Duration timeout = kForever;                              // for all of it, the look-up too
  Duration attempt_delay = std::chrono::milliseconds(250);  // then the next address is tried too
  std::optional<SocketAddress> local = {};                  // to connect from
  int family = AF_UNSPEC;
};

// Looks the host up and connects to whichever of its addresses answers first: they are tried one
// after the other, families alternating, the next as soon as one has failed or is slow, as RFC 8305
// says. Throws what the last one failed with (std::system_error, the kernel's errno), ResolveError,
// TimeoutError.
SocketStream create_connection(std::string_view host, uint16_t port,
                               const ConnectOptions& options = {});
// The same for addresses that are known, in the given order; not empty.
SocketStream create_connection(std::span<const SocketAddress> addresses,
                               const ConnectOptions& options = {});

// One address, TCP or Unix.
SocketStream connect(const SocketAddress& address, Duration timeout = kForever);

// Looks up the host (numbers, a name, or empty for every address of this machine) and listens.
Listener listen_tcp(std::string_view host, uint16_t port, const ListenOptions& options = {});

}  // namespace tendril
