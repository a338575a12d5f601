#include "tendril/datagram_server.hpp"

#include <cerrno>
#include <exception>
#include <system_error>

#include "runtime/sync/report.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/pool.hpp"

namespace tendril {

struct DatagramServer::State {
  State(DatagramSocket s, Handler h, const DatagramServerOptions& o)
      : socket(std::move(s)),
        address(socket.local_address()),
        handler(std::move(h)),
        options(o),
        pool(o.max_handlers) {}

  DatagramSocket socket;
  const SocketAddress address;
  const Handler handler;
  const DatagramServerOptions options;
  Pool pool;
  Fiber<> receiver;
  bool stopping = false;
  Event stopped;

  void receive_all(DatagramServer& server) {
    std::string buffer(options.max_datagram, '\0');
    for (;;) {
      pool.wait_available();
      SocketAddress from;
      size_t size;
      try {
        size = socket.receive_from(buffer.data(), buffer.size(), from);
      } catch (const std::system_error& error) {
        // What became of an earlier answer: not our concern.
        if (error.code().value() == ECONNREFUSED) continue;
        throw;
      }
      pool.spawn([this, &server, from, datagram = buffer.substr(0, size)]() mutable {
        try {
          handler(server, std::move(datagram), from);
        } catch (const std::exception&) {
          // Here, since the pool's links on the fiber count as somebody who gets it.
          const FiberHandle self = current_fiber();
          self.set_name("datagram of " + from.to_string());
          detail::report_exception(std::current_exception(), "ended", *self.task());
        }
      });
    }
  }
};

DatagramServer::DatagramServer(const SocketAddress& address, Handler handler,
                               const DatagramServerOptions& options)
    : DatagramServer(DatagramSocket(address), std::move(handler), options) {}

DatagramServer::DatagramServer(DatagramSocket socket, Handler handler,
                               const DatagramServerOptions& options)
    : state_(std::make_unique<State>(std::move(socket), std::move(handler), options)) {}

DatagramServer::~DatagramServer() { stop(); }

void DatagramServer::start() {
  if (state_->receiver || state_->stopping) return;
  SpawnOptions options;
  options.name = "receiver";
  state_->receiver = spawn(options, [this] { state_->receive_all(*this); });
}

bool DatagramServer::stop(Duration grace) {
  State& state = *state_;
  if (std::exchange(state.stopping, true)) return state.stopped.wait();
  if (state.receiver) state.receiver.kill();
  bool in_time = false;
  try {
    in_time = state.pool.join(grace);  // they may still answer
    if (!in_time) state.pool.kill();
  } catch (...) {
    state.stopping = false;  // whoever comes next (the destructor) goes on
    throw;
  }
  state.socket.close();
  state.stopped.set();
  return in_time;
}

void DatagramServer::serve_forever() {
  start();
  try {
    state_->receiver.join();
    if (!state_->stopping) state_->receiver.get();
    state_->stopped.wait();
  } catch (...) {
    stop();
    throw;
  }
}

void DatagramServer::send_to(std::string_view data, const SocketAddress& to) {
  state_->socket.send_to(data, to);
}

SocketAddress DatagramServer::address() const { return state_->address; }

}  // namespace tendril
