// Echo by explicit fibers: a fiber per connection, written as if it blocked.
#include <tendril/tendril.hpp>

#include <system_error>

#include "echo_server.h"

namespace {

void serve(int fd) {
  char buffer[kEchoBuffer];
  try {
    while (const size_t received = tendril::io::read(fd, buffer, sizeof buffer)) {
      tendril::io::write_all(fd, buffer, received);
    }
  } catch (const std::system_error&) {
    // The client is gone.
  }
  tendril::io::close(fd);
}

}  // namespace

int main() {
  const int listener = listen_and_announce();
  for (;;) tendril::spawn(serve, tendril::io::accept(listener));
}
