#include "runtime/serve/http_connection.hpp"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>

#include "tendril/errors.hpp"

namespace tendril::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBuffer = 16 * 1024;
constexpr uint64_t kMostToDrain = 256 * 1024;
constexpr size_t kJoinBelow = 64 * 1024;  // head and body go out in one write
constexpr size_t kKeep = 4 * 1024;        // of a connection's buffer for answers, between two

Duration left_of(Clock::time_point end) {
  return std::max(Duration(1), Duration(end - Clock::now()));
}

Duration time_for(uint64_t bytes, uint64_t rate) {
  return rate == 0 ? Duration::zero() : std::chrono::seconds(bytes / rate);
}

void append_number(std::string& text, uint64_t number) {
  char digits[24];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

HttpConnection& of(http_parser* parser) { return *static_cast<HttpConnection*>(parser->data); }

}  // namespace

const std::string& HttpShared::now() {
  const time_t second = time(nullptr);
  if (second != date_of || date.empty()) {
    tm parts;
    gmtime_r(&second, &parts);
    char text[64];
    date.assign(text, strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    date_of = second;
  }
  return date;
}

HttpConnection::HttpConnection(HttpShared& shared, Stream& stream, const SocketAddress& peer)
    : shared_(shared),
      options_(shared.options),
      stream_(stream),
      peer_(peer),
      buffer_(kBuffer, '\0') {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
  next = shared_.connections;
  if (next != nullptr) next->previous = this;
  shared_.connections = this;
}

HttpConnection::~HttpConnection() {
  (previous != nullptr ? previous->next : shared_.connections) = next;
  if (next != nullptr) next->previous = previous;
}

void HttpConnection::end_if_idle() {
  if (idle_) stream_.shutdown_read();
}

// --- the parser's callbacks: they note, and never throw or wait ---

bool HttpConnection::count_header(size_t bytes) {
  header_bytes_ += bytes;
  if (header_bytes_ <= options_.max_header_size) return true;
  refuse_with_ = 431;
  return false;
}

void HttpConnection::end_field() {
  if (in_value_ && !headers_done_) {
    try {
      request_.headers.add(std::move(field_), std::move(value_));
    } catch (const std::exception&) {
      refuse_with_ = 400;
    }
  }
  field_.clear();
  value_.clear();
  in_value_ = false;
}

int HttpConnection::on_url(http_parser* parser, const char* at, size_t length) {
  HttpConnection& me = of(parser);
  if (!me.count_header(length)) return 1;
  me.request_.target.append(at, length);
  return 0;
}

// Fields that follow a chunked body are counted and dropped.
int HttpConnection::on_field(http_parser* parser, const char* at, size_t length) {
  HttpConnection& me = of(parser);
  if (me.in_value_) me.end_field();
  if (!me.count_header(length + (me.field_.empty() ? 4 : 0))) return 1;
  me.field_.append(at, length);
  return me.refuse_with_ != 0;
}

int HttpConnection::on_value(http_parser* parser, const char* at, size_t length) {
  HttpConnection& me = of(parser);
  me.in_value_ = true;
  if (!me.count_header(length)) return 1;
  me.value_.append(at, length);
  return 0;
}

int HttpConnection::on_headers(http_parser* parser) {
  HttpConnection& me = of(parser);
  me.end_field();
  me.headers_done_ = true;
  parser->upgrade = 0;  // we stay with HTTP/1.1, as the client must accept
  return me.refuse_with_ != 0;
}

int HttpConnection::on_body(http_parser* parser, const char* at, size_t length) {
  HttpConnection& me = of(parser);
  me.body_bytes_ += length;
  if (me.body_bytes_ > me.options_.max_body_size) {
    me.refuse_with_ = 413;
    return 1;
  }
  me.body_.append(at, length);
  return 0;
}

int HttpConnection::on_complete(http_parser* parser) {
  of(parser).message_done_ = true;
  http_parser_pause(parser, 1);  // what follows is the next request
  return 0;
}

const http_parser_settings& HttpConnection::settings() {
  static const http_parser_settings all = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_url = on_url;
    s.on_header_field = on_field;
    s.on_header_value = on_value;
    s.on_headers_complete = on_headers;
    s.on_body = on_body;
    s.on_message_complete = on_complete;
    return s;
  }();
  return all;
}

// --- requests ---

// More bytes into the buffer, which is empty; false at the end of the stream.
bool HttpConnection::fill(Duration timeout) {
  stream_.set_timeout(timeout);
  begin_ = end_ = 0;
  end_ = stream_.read(buffer_.data(), buffer_.size());
  return end_ > 0;
}

void HttpConnection::feed() {
  begin_ += http_parser_execute(&parser_, &settings(), buffer_.data() + begin_, end_ - begin_);
  check_parser();
}

void HttpConnection::check_parser() {
  if (refuse_with_ != 0) throw HttpError(refuse_with_);
  switch (const http_errno error = HTTP_PARSER_ERRNO(&parser_)) {
    case HPE_OK:
      return;
    case HPE_PAUSED:
      http_parser_pause(&parser_, 0);
      return;
    case HPE_HEADER_OVERFLOW:
      throw HttpError(431);
    case HPE_INVALID_METHOD:
      throw HttpError(501, "This method is not implemented.");
    case HPE_INVALID_VERSION:
      throw HttpError(505);
    default:
      throw HttpError(400, http_errno_description(error));
  }
}

// False when there is none: the client has gone, or has been idle for too long.
bool HttpConnection::read_request() {
  // As new, but what it has allocated serves the next one too.
  request_.method.clear();
  request_.target.clear();
  request_.headers.clear();
  request_.minor_version = 1;
  request_.content_length.reset();
  request_.connection_ = this;
  request_.peer = peer_;
  body_.clear();
  body_begin_ = 0;
  body_bytes_ = header_bytes_ = 0;
  headers_done_ = message_done_ = false;
  refuse_with_ = 0;
  if (begin_ == end_) {
    // Who has connected and not been answered yet has been promised an answer: its request may be
    // on its way, and only between two requests does a client reckon with the end.
    if (shared_.stopping && !first_) return false;
    idle_ = !first_;
    bool more = false;
    try {
      more = fill(first_ ? options_.header_timeout : options_.keep_alive_timeout);
    } catch (const TimeoutError&) {
      // It was given time enough.
    } catch (const TlsError&) {
      // Cut between two requests: nothing is lost.
    }
    idle_ = false;
    if (!more) return false;
  }
  first_ = false;
  feed();
  // As a rule all of them have come at once, and nobody need ask what time it is.
  const auto end = headers_done_ ? Clock::time_point() : Clock::now() + options_.header_timeout;
  while (!headers_done_) {
    bool more = false;
    try {
      more = fill(left_of(end));
    } catch (const TimeoutError&) {
      throw HttpError(408);
    }
    if (!more) return false;
    if (Clock::now() >= end) throw HttpError(408);  // a drop now and then does not help it
    feed();
  }
  keep_alive_ = http_should_keep_alive(&parser_) != 0;
  request_.method = http_method_str(static_cast<http_method>(parser_.method));
  request_.minor_version = parser_.http_minor;
  if (parser_.http_major != 1) throw HttpError(505);
  if (request_.minor_version >= 1 && request_.headers.find("Host") == nullptr) {
    throw HttpError(400, "A Host field is missing.");
  }
  if ((parser_.flags & F_CONTENTLENGTH) != 0) {
    request_.content_length = parser_.content_length + body_bytes_;
    if (*request_.content_length > options_.max_body_size) throw HttpError(413);
  }
  continue_due_ = false;
  if (const std::string* expect = request_.headers.find("Expect")) {
    if (strcasecmp(expect->c_str(), "100-continue") != 0) throw HttpError(417);
    continue_due_ = body_bytes_ == 0 && !message_done_;
  }
  if (!message_done_) body_since_ = Clock::now();
  return true;
}

size_t HttpConnection::read_body(void* buffer, size_t bytes) {
  while (body_begin_ == body_.size()) {
    body_.clear();
    body_begin_ = 0;
    if (message_done_) return 0;
    if (continue_due_) {
      continue_due_ = false;
      send_bytes("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (begin_ == end_) {
      bool more = false;
      try {
        more = fill(left_of(body_since_ + options_.body_timeout +
                            time_for(body_bytes_, options_.min_rate)));
      } catch (const TimeoutError&) {
        throw HttpError(408);
      } catch (const std::system_error& error) {
        throw HttpClientGone(error.what());
      } catch (const TlsError& error) {
        throw HttpClientGone(error.what());
      }
      if (!more) throw HttpClientGone("tendril: the client left in the middle of a request");
    }
    feed();
  }
  const size_t part = std::min(bytes, body_.size() - body_begin_);
  std::memcpy(buffer, body_.data() + body_begin_, part);
  body_begin_ += part;
  return part;
}

// --- answers ---

void HttpConnection::send_bytes(std::string_view data) {
  try {
    stream_.set_timeout(options_.write_timeout + time_for(data.size(), options_.min_rate));
    stream_.write(data);
  } catch (const TimeoutError&) {
    throw HttpClientGone("tendril: the client does not take its answer");
  } catch (const std::system_error& error) {
    throw HttpClientGone(error.what());
  } catch (const TlsError& error) {
    throw HttpClientGone(error.what());
  }
}

// Room that the answer before has left. Nobody else may change it while it is being sent, so it
// does not stay a member for that time.
std::string HttpConnection::take_buffer() {
  std::string buffer = std::move(spare_);
  buffer.clear();
  return buffer;
}

void HttpConnection::give_back(std::string buffer) {
  if (buffer.capacity() <= kKeep) spare_ = std::move(buffer);
}

// The status line and the fields that do not concern the framing.
std::string HttpConnection::begin_answer(HttpResponse& response) {
  response.started_ = true;
  if (shared_.stopping) keep_alive_ = false;
  std::string out = take_buffer();
  out += "HTTP/1.1 ";
  append_number(out, static_cast<uint64_t>(response.status));
  out.append(" ").append(http_status_str(static_cast<http_status>(response.status)));
  out.append("\r\nDate: ").append(shared_.now()).append("\r\n");
  for (const auto& [name, value] : response.headers) {
    if (strcasecmp(name.c_str(), "Connection") == 0) {
      if (strcasecmp(value.c_str(), "close") == 0) keep_alive_ = false;
      continue;
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!keep_alive_) {
    out += "Connection: close\r\n";
  } else if (request_.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  return out;
}

void HttpConnection::send(HttpResponse& response, std::string_view body) {
  if (response.started_) throw std::logic_error("tendril: the answer was sent already");
  response.finished_ = true;
  response.headers.remove("Content-Length");
  response.headers.remove("Transfer-Encoding");
  const bool empty = response.status == 204 || response.status == 304 || response.status < 200;
  std::string out = begin_answer(response);
  if (!empty) {
    if (response.headers.find("Content-Type") == nullptr) {
      out += "Content-Type: text/plain; charset=utf-8\r\n";
    }
    out += "Content-Length: ";
    append_number(out, body.size());
    out += "\r\n";
  }
  out += "\r\n";
  if (empty || request_.method == "HEAD") body = {};
  if (body.size() < kJoinBelow) {
    out += body;
    body = {};
  }
  send_bytes(out);
  give_back(std::move(out));
  if (!body.empty()) send_bytes(body);
}

void HttpConnection::write(HttpResponse& response, std::string_view part) {
  if (response.finished_) throw std::logic_error("tendril: the answer was sent already");
  std::string out;
  if (response.started_) {
    out = take_buffer();
  } else {
    response.headers.remove("Transfer-Encoding");
    if (const std::string* length = response.headers.find("Content-Length")) {
      response.left_ = std::stoull(*length);
    } else if (request_.minor_version >= 1) {
      response.chunked_ = true;
    } else {
      keep_alive_ = false;  // the end of the connection is the end of the body
    }
    out = begin_answer(response);
    out += response.chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
  }
  if (response.left_) {
    if (part.size() > *response.left_) {
      throw std::logic_error("tendril: more was written than Content-Length says");
    }
    *response.left_ -= part.size();
  }
  if (request_.method != "HEAD" && !part.empty()) {
    if (response.chunked_) {
      char size[32];
      out.append(size,
                 static_cast<size_t>(std::snprintf(size, sizeof size, "%zx\r\n", part.size())));
    }
    out += part;
    if (response.chunked_) out += "\r\n";
  }
  if (!out.empty()) send_bytes(out);
  give_back(std::move(out));
}

void HttpConnection::finish(HttpResponse& response) {
  if (response.finished_) return;
  if (!response.started_) return send(response, {});
  response.finished_ = true;
  if (response.chunked_ && request_.method != "HEAD") send_bytes("0\r\n\r\n");
  // Too little: only the end of the connection tells the client.
  if (response.left_.value_or(0) > 0 && request_.method != "HEAD") keep_alive_ = false;
}

void HttpConnection::refuse(const HttpError& error) {
  keep_alive_ = false;
  HttpResponse response;
  response.connection_ = this;
  response.send(error.status(), std::string(error.what()) + "\n");
}

// Reads on to the end of the request that the handler did not read; false if that is too much.
bool HttpConnection::drain() {
  if (continue_due_) return false;  // it may or may not send the body
  char buffer[4096];
  for (uint64_t bytes = 0; bytes < kMostToDrain;) {
    const size_t part = read_body(buffer, sizeof buffer);
    if (part == 0) return true;
    bytes += part;
  }
  return false;
}

// Closed with bytes unread, a connection is reset and the answer may be lost with it.
void HttpConnection::linger() {
  try {
    stream_.shutdown_write();
    const auto end = Clock::now() + std::chrono::seconds(1);
    do {
      stream_.set_timeout(left_of(end));
    } while (stream_.read(buffer_.data(), buffer_.size()) > 0 && Clock::now() < end);
  } catch (const std::exception&) {
    // It has gone: all the better.
  }
}

void HttpConnection::answer() {
  HttpResponse response;
  response.connection_ = this;
  try {
    shared_.handler(request_, response);
    finish(response);
  } catch (const HttpError& error) {
    if (response.started_) {
      keep_alive_ = false;  // cut off: the client sees that it is not complete
      return;
    }
    if (message_done_ && body_begin_ == body_.size()) {
      response.headers = HttpHeaders();
      response.send(error.status(), std::string(error.what()) + "\n");
      return;
    }
    refuse(error);
  } catch (const HttpClientGone&) {
    throw;
  } catch (const std::exception&) {
    if (!response.started_) refuse(HttpError(500));
    throw;
  }
}

void HttpConnection::serve() {
  try {
    do {
      try {
        if (!read_request()) return;
      } catch (const HttpError& error) {
        refuse(error);
        return linger();
      }
      answer();
      if (!message_done_) {
        try {
          if (!keep_alive_ || !drain()) return linger();
        } catch (const HttpError&) {
          return linger();
        }
      }
    } while (keep_alive_);
  } catch (const HttpClientGone&) {
    // As clients do.
  }
}

}  // namespace tendril::detail
