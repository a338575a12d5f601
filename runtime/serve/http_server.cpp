#include "tendril/http_server.hpp"

#include <http_parser.h>

#include <algorithm>

#include "runtime/serve/http_connection.hpp"

namespace tendril {

struct HttpServer::State {
  State(Listener listener, Handler handler, const HttpServerOptions& options)
      : shared{.handler = std::move(handler), .options = options, .date = {}},
        server(
            std::move(listener),
            [this](Stream& stream, const SocketAddress& peer) {
              detail::HttpConnection(shared, stream, peer).serve();
            },
            options.stream) {
    server.set_on_stopping([this] {
      shared.stopping = true;
      for (auto* c = shared.connections; c != nullptr; c = c->next) c->end_if_idle();
    });
    // The parser has a limit of its own, for all connections of the process: ours is the narrower.
    static size_t widest = HTTP_MAX_HEADER_SIZE;
    widest = std::max(widest, 2 * options.max_header_size);
    http_parser_set_max_header_size(static_cast<uint32_t>(widest));
  }

  detail::HttpShared shared;
  StreamServer server;
};

HttpServer::HttpServer(const SocketAddress& address, Handler handler,
                       const HttpServerOptions& options)
    : HttpServer(Listener(address, {.backlog = options.stream.backlog,
                                    .reuse_port = options.stream.reuse_port}),
                 std::move(handler), options) {}

HttpServer::HttpServer(Listener listener, Handler handler, const HttpServerOptions& options)
    : state_(std::make_unique<State>(std::move(listener), std::move(handler), options)) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() { state_->server.start(); }
bool HttpServer::stop(Duration grace) {
  // At once: others run while it waits for the acceptor's end, and who answers is to know.
  state_->shared.stopping = true;
  return state_->server.stop(grace);
}
void HttpServer::serve_forever() { state_->server.serve_forever(); }
SocketAddress HttpServer::address() const { return state_->server.address(); }
size_t HttpServer::connections() const { return state_->server.connections(); }

}  // namespace tendril
