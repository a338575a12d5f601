// One connection of an HttpServer: requests in, answers out, in turns.
#pragma once

#include <http_parser.h>

#include <ctime>
#include <string>

#include "tendril/http_server.hpp"

namespace tendril::detail {

// What the connections of a server share.
struct HttpShared {
  HttpServer::Handler handler;
  HttpServerOptions options;
  bool stopping = false;
  class HttpConnection* connections = nullptr;  // all that are open
  time_t date_of = 0;
  std::string date;  // of that second, as HTTP writes it

  const std::string& now();
};

class HttpConnection {
 public:
  HttpConnection(HttpShared& shared, Stream& stream, const SocketAddress& peer);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Serves requests until one side wants no more.
  void serve();
  // If it waits for a request: it ends, unless one has come already.
  void end_if_idle();

  // For requests and responses.
  size_t read_body(void* buffer, size_t bytes);
  void send(HttpResponse& response, std::string_view body);
  void write(HttpResponse& response, std::string_view part);

  HttpConnection* next = nullptr;  // in HttpShared::connections
  HttpConnection* previous = nullptr;

 private:
  bool read_request();
  void feed();
  bool fill(Duration timeout);
  void check_parser();
  void answer();
  void finish(HttpResponse& response);
  void refuse(const HttpError& error);
  bool drain();
  void linger();
  std::string begin_answer(HttpResponse& response);
  std::string take_buffer();
  void give_back(std::string buffer);
  void send_bytes(std::string_view data);

  static int on_url(http_parser*, const char* at, size_t length);
  static int on_field(http_parser*, const char* at, size_t length);
  static int on_value(http_parser*, const char* at, size_t length);
  static int on_headers(http_parser*);
  static int on_body(http_parser*, const char* at, size_t length);
  static int on_complete(http_parser*);
  static const http_parser_settings& settings();
  bool count_header(size_t bytes);
  void end_field();

  HttpShared& shared_;
  const HttpServerOptions& options_;
  Stream& stream_;
  const SocketAddress peer_;
  http_parser parser_;

  std::string buffer_;  // what has come; [begin_, end_) is not parsed yet
  size_t begin_ = 0;
  size_t end_ = 0;

  // The request at hand.
  HttpRequest request_;
  std::string field_;
  std::string value_;
  bool in_value_ = false;
  size_t header_bytes_ = 0;
  bool headers_done_ = false;
  bool message_done_ = false;
  std::string body_;  // parsed, not read yet
  size_t body_begin_ = 0;
  uint64_t body_bytes_ = 0;
  int refuse_with_ = 0;  // a status: found by a callback of the parser
  std::chrono::steady_clock::time_point body_since_;
  bool continue_due_ = false;  // the client waits for "100 Continue"
  bool keep_alive_ = false;

  std::string spare_;  // empty, with room for an answer

  bool idle_ = false;  // waits between two requests
  bool first_ = true;  // no request has come yet
};

}  // namespace tendril::detail
