// Names to addresses and back, without ever holding up other fibers. (gevent: resolver,
// getaddrinfo)
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tendril/address.hpp"
#include "tendril/time.hpp"

namespace tendril {

// A look-up has failed: the code is one of EAI_*.
class ResolveError : public std::runtime_error {
 public:
  ResolveError(int code, const std::string& name);
  int code() const noexcept { return code_; }

 private:
  int code_;
};

struct ResolveOptions {
  int family = AF_UNSPEC;
  bool passive = false;  // to listen on: an empty host is every address of this machine
  Duration timeout = kForever;
};

// Every address of the host, in the order in which they are to be tried. The service is a name or a
// number. An empty host is this machine. Throws ResolveError, TimeoutError.
std::vector<SocketAddress> resolve(std::string_view host, std::string_view service,
                                   const ResolveOptions& options = {});
std::vector<SocketAddress> resolve(std::string_view host, uint16_t port,
                                   const ResolveOptions& options = {});

// The name of an address; the address in numbers if it has none. Throws ResolveError, TimeoutError.
std::string reverse_lookup(const SocketAddress& address, Duration timeout = kForever);

}  // namespace tendril
