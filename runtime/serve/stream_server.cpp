#include "tendril/stream_server.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "runtime/sync/report.hpp"
#include "tendril/errors.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/pool.hpp"

namespace tendril {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(10);
constexpr Duration kLongestPause = std::chrono::seconds(1);

// Nothing is left to accept with: it may pass.
bool is_shortage(const std::system_error& error) {
  switch (error.code().value()) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return true;
    default:
      return false;
  }
}

// The connection that was to be accepted has died meanwhile (see accept(2)): the next one.
bool is_passing(const std::system_error& error) {
  switch (error.code().value()) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
      return true;
    default:
      return false;
  }
}

bool is_disconnect(const std::system_error& error) {
  const int code = error.code().value();
  return code == ECONNRESET || code == EPIPE || code == ENOTCONN || code == ETIMEDOUT;
}

}  // namespace

struct StreamServer::State {
  State(Listener l, Handler h, const StreamServerOptions& o)
      : listener(std::move(l)),
        address(listener.address()),
        handler(std::move(h)),
        options(o),
        pool(o.max_connections) {}

  Listener listener;
  const SocketAddress address;
  const Handler handler;
  const StreamServerOptions options;
  std::function<void()> on_stopping;
  Pool pool;
  Fiber<> acceptor;
  bool stopping = false;
  Event stopped;

  void accept_all() {
    Duration pause = kFirstPause;
    for (;;) {
      pool.wait_available();
      SocketAddress peer;
      SocketStream stream;
      try {
        stream = listener.accept(&peer);
        pool.spawn(
            [this, peer, stream = std::move(stream)]() mutable { serve(std::move(stream), peer); });
      } catch (const std::system_error& error) {
        if (!is_shortage(error)) {
          if (is_passing(error)) continue;
          throw;
        }
        sleep(pause);
        pause = std::min(pause * 2, kLongestPause);
        continue;
      } catch (const std::bad_alloc&) {
        sleep(pause);  // the connection is lost, the server is not
        pause = std::min(pause * 2, kLongestPause);
        continue;
      }
      pause = kFirstPause;
    }
  }

  // Of what the handler has thrown. Here, since the pool's links on the fiber count as somebody who
  // gets it.
  static void report(const SocketAddress& peer) {
    const FiberHandle self = current_fiber();
    self.set_name("client " + peer.to_string());
    detail::report_exception(std::current_exception(), "ended", *self.task());
  }

  void serve(SocketStream stream, const SocketAddress& peer) {
    try {
      if (peer.is_ip()) stream.set_no_delay();
      if (options.tls) {
        stream.set_timeout(options.handshake_timeout);
        std::optional<TlsStream> tls;
        try {
          tls.emplace(*options.tls, std::make_unique<SocketStream>(std::move(stream)));
        } catch (const TimeoutError&) {
          return;
        }
        tls->set_timeout(kForever);
        handler(*tls, peer);
        tls->close();
      } else {
        handler(stream, peer);
      }
    } catch (const TlsError&) {
      // It does not speak TLS, or not ours.
    } catch (const std::system_error& error) {
      if (!is_disconnect(error)) report(peer);
    } catch (const std::exception&) {
      report(peer);
    }
  }
};

StreamServer::StreamServer(const SocketAddress& address, Handler handler,
                           const StreamServerOptions& options)
    : StreamServer(
          Listener(address, {.backlog = options.backlog, .reuse_port = options.reuse_port}),
          std::move(handler), options) {}

StreamServer::StreamServer(Listener listener, Handler handler, const StreamServerOptions& options)
    : state_(std::make_unique<State>(std::move(listener), std::move(handler), options)) {}

StreamServer::~StreamServer() { stop(); }

void StreamServer::start() {
  if (state_->acceptor || state_->stopping) return;
  SpawnOptions options;
  options.name = "acceptor";
  state_->acceptor = spawn(options, [state = state_.get()] { state->accept_all(); });
}

bool StreamServer::stop(Duration grace) {
  State& state = *state_;
  if (std::exchange(state.stopping, true)) return state.stopped.wait();
  if (state.acceptor) state.acceptor.kill();
  state.listener.close();
  if (state.on_stopping) state.on_stopping();
  bool in_time = false;
  try {
    in_time = state.pool.join(grace);
    if (!in_time) state.pool.kill();
  } catch (...) {
    state.stopping = false;  // whoever comes next (the destructor) goes on
    throw;
  }
  state.stopped.set();
  return in_time;
}

void StreamServer::serve_forever() {
  start();
  try {
    // If it ends by itself it has failed: that is to be known.
    state_->acceptor.join();
    if (!state_->stopping) state_->acceptor.get();
    state_->stopped.wait();
  } catch (...) {
    stop();
    throw;
  }
}

SocketAddress StreamServer::address() const { return state_->address; }
size_t StreamServer::connections() const { return state_->pool.running(); }
bool StreamServer::running() const { return state_->acceptor && !state_->stopping; }
void StreamServer::set_on_stopping(std::function<void()> function) {
  state_->on_stopping = std::move(function);
}

}  // namespace tendril
