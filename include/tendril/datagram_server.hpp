// A server of datagrams. Link tendril::serve. (gevent: server.DatagramServer)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tendril/udp.hpp"

namespace tendril {

struct DatagramServerOptions {
  size_t max_handlers = 1'000;  // at once; the kernel queues, then drops, what comes meanwhile
  size_t max_datagram = 64 * 1024;
};

// Each datagram is handled in a fiber of its own. Of one OS thread.
class DatagramServer {
 public:
  // The handler may answer: server.send_to(…, from).
  using Handler =
      std::function<void(DatagramServer& server, std::string datagram, const SocketAddress& from)>;

  DatagramServer(const SocketAddress& address, Handler handler,
                 const DatagramServerOptions& options = {});
  DatagramServer(DatagramSocket socket, Handler handler, const DatagramServerOptions& options = {});
  DatagramServer(const DatagramServer&) = delete;
  DatagramServer& operator=(const DatagramServer&) = delete;
  ~DatagramServer();

  void start();
  // As that of StreamServer.
  bool stop(Duration grace = Duration::zero());
  void serve_forever();

  void send_to(std::string_view data, const SocketAddress& to);
  SocketAddress address() const;
  uint16_t port() const { return address().port(); }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tendril
