// Echo by explicit fibers: a fiber per connection, written as if it blocked.
#include <tendril/tendril.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include "echo_server.h"

namespace {

void serve(int fd) {
  char buffer[kEchoBuffer];
  for (;;) {
    const ssize_t received = tendril::io::read(fd, buffer, sizeof buffer);
    if (received <= 0) break;
    tendril::io::write_all(fd, buffer, static_cast<std::size_t>(received));
  }
  close(fd);
}

}  // namespace

int main() {
  const int listener = listen_and_announce();
  for (;;) {
    const int fd = tendril::io::accept(listener);
    tendril::spawn(serve, fd).detach();
  }
}
