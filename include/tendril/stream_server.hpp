// A server of connections, each served in a fiber of its own. Link tendril::serve. (gevent:
// server.StreamServer)
//
//   StreamServer server(SocketAddress::loopback(7), [](Stream& client, const SocketAddress&) {
//     char buffer[4096];
//     while (const size_t n = client.read(buffer, sizeof buffer)) client.write(buffer, n);
//   });
//   server.serve_forever();
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "tendril/socket.hpp"
#include "tendril/tls.hpp"

namespace tendril {

struct StreamServerOptions {
  size_t max_connections = 10'000;  // served at once; others wait in the listener's queue
  int backlog = 1024;
  bool reuse_port = false;  // SO_REUSEPORT: servers of several hubs, or processes, on one port
  std::optional<TlsContext> tls = {};  // then clients speak TLS
  Duration handshake_timeout = std::chrono::seconds(10);
};

// Of one OS thread. When descriptors or memory run out it pauses, 10 ms to 1 s, and tries again.
// What a handler throws is reported and ends its connection only; a peer that resets or breaks TLS
// is not worth a report.
class StreamServer {
 public:
  // The connection is closed when the handler returns or throws.
  using Handler = std::function<void(Stream& client, const SocketAddress& peer)>;

  // Listens at once, so that the port is known; accepts from start() on. Throws std::system_error.
  StreamServer(const SocketAddress& address, Handler handler,
               const StreamServerOptions& options = {});
  // On a listener that exists: one that was inherited, say.
  StreamServer(Listener listener, Handler handler, const StreamServerOptions& options = {});
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;
  // Stops without grace.
  ~StreamServer();

  void start();  // again is harmless
  // Accepts no more; gives those who are served so much time, then kills their fibers. True if
  // nobody was killed. Not from a handler. Again is harmless.
  bool stop(Duration grace = Duration::zero());
  // start(), and waits until somebody has called stop() and it is done. If this fiber is killed the
  // server is stopped.
  void serve_forever();

  SocketAddress address() const;
  uint16_t port() const { return address().port(); }
  size_t connections() const;  // being served
  bool running() const;

  // Called by stop() when nothing is accepted any more, before it waits.
  void set_on_stopping(std::function<void()> function);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tendril
