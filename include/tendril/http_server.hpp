// An HTTP/1.1 server: a fiber for each connection, the handler plain blocking code. Link
// tendril::serve. (gevent: pywsgi.WSGIServer)
//
//   HttpServer server(SocketAddress::loopback(8080), [](HttpRequest& request, HttpResponse&
//   response) {
//     response.send("Hello from " + request.target + "\n");
//   });
//   server.serve_forever();
//
// Keep-alive, pipelining, chunked bodies both ways, Expect: 100-continue. Parsed by http-parser.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tendril/stream_server.hpp"

namespace tendril {

namespace detail {
class HttpConnection;
}

// Fields in the order in which they came; names regardless of case.
class HttpHeaders {
 public:
  // Throws std::invalid_argument for what would break the message: a line end, an empty name.
  void add(std::string name, std::string value);
  void set(std::string name, std::string value);         // in place of all of that name
  const std::string* find(std::string_view name) const;  // the first; null if there is none
  std::string get(std::string_view name, std::string_view otherwise = {}) const;
  void remove(std::string_view name);
  void clear() noexcept { fields_.clear(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Thrown by a handler: answers with that status, if nothing was sent yet. Thrown by reads of a body
// that is too large (413), too slow (408) or broken (400): just let it pass.
class HttpError : public std::runtime_error {
 public:
  explicit HttpError(int status, const std::string& text = {});
  int status() const noexcept { return status_; }

 private:
  int status_;
};

// Thrown by reads and writes when the client has gone, or does not take what it is sent: just let
// it pass.
class HttpClientGone : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class HttpRequest {
 public:
  std::string method;
  std::string target;  // as sent: path, "?", query
  HttpHeaders headers;
  int minor_version = 1;  // of HTTP/1
  std::optional<uint64_t> content_length;
  SocketAddress peer;

  std::string_view path() const;
  std::string_view query() const;  // what follows "?"; not decoded

  // The body, as it comes; 0 at its end.
  size_t read(void* buffer, size_t bytes);
  // What is left of it at once.
  std::string read_body();

 private:
  friend class detail::HttpConnection;
  detail::HttpConnection* connection_ = nullptr;
};

class HttpResponse {
 public:
  int status = 200;
  HttpHeaders headers;  // Date, Connection and the framing are added

  // The whole answer at once. Then nothing more may be sent.
  void send(std::string_view body);
  void send(int with_status, std::string_view body) {
    status = with_status;
    send(body);
  }
  // A part of a long answer: chunked, unless a Content-Length is among the headers.
  void write(std::string_view part);
  bool started() const noexcept { return started_; }

 private:
  friend class detail::HttpConnection;
  detail::HttpConnection* connection_ = nullptr;
  bool started_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  std::optional<uint64_t> left_;  // of the announced length
};

struct HttpServerOptions {
  StreamServerOptions stream = {};
  size_t max_header_size = 32 * 1024;                  // request line and fields, bytes: else 431
  uint64_t max_body_size = 64 * 1024 * 1024;           // else 413
  Duration header_timeout = std::chrono::seconds(10);  // for all of them: else 408
  Duration keep_alive_timeout = std::chrono::seconds(60);  // between two requests
  // For a body and for an answer; and 1 s more for every `min_rate` bytes that went through.
  Duration body_timeout = std::chrono::seconds(30);
  Duration write_timeout = std::chrono::seconds(30);
  uint64_t min_rate = 1024;
};

class HttpServer {
 public:
  using Handler = std::function<void(HttpRequest& request, HttpResponse& response)>;

  HttpServer(const SocketAddress& address, Handler handler, const HttpServerOptions& options = {});
  HttpServer(Listener listener, Handler handler, const HttpServerOptions& options = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  // As that of StreamServer. Connections between two requests are closed at once. Within the grace
  // a request that is being served is answered, and so is the first one of a connection that was
  // accepted already, if it comes before its header_timeout.
  bool stop(Duration grace = Duration::zero());
  void serve_forever();
  SocketAddress address() const;
  uint16_t port() const { return address().port(); }
  size_t connections() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tendril
