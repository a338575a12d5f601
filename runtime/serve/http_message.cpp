#include <http_parser.h>
#include <strings.h>

#include <algorithm>

#include "runtime/serve/http_connection.hpp"

namespace tendril {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 127 && c != ':';
  });
}

}  // namespace

void HttpHeaders::add(std::string name, std::string value) {
  if (!is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    throw std::invalid_argument("tendril: not a header field: " + name);
  }
  fields_.emplace_back(std::move(name), std::move(value));
}

void HttpHeaders::set(std::string name, std::string value) {
  remove(name);
  add(std::move(name), std::move(value));
}

const std::string* HttpHeaders::find(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (same_name(field, name)) return &value;
  }
  return nullptr;
}

std::string HttpHeaders::get(std::string_view name, std::string_view otherwise) const {
  const std::string* value = find(name);
  return value != nullptr ? *value : std::string(otherwise);
}

void HttpHeaders::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
}

HttpError::HttpError(int status, const std::string& text)
    : std::runtime_error(text.empty() ? http_status_str(static_cast<http_status>(status)) : text),
      status_(status) {}

std::string_view HttpRequest::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view HttpRequest::query() const {
  const size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

size_t HttpRequest::read(void* buffer, size_t bytes) {
  return connection_->read_body(buffer, bytes);
}

std::string HttpRequest::read_body() {
  std::string body;
  char buffer[8 * 1024];
  while (const size_t part = read(buffer, sizeof buffer)) body.append(buffer, part);
  return body;
}

void HttpResponse::send(std::string_view body) { connection_->send(*this, body); }
void HttpResponse::write(std::string_view part) { connection_->write(*this, part); }

}  // namespace tendril
