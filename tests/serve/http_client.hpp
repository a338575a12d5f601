// A client that says exactly what it is told to.
#pragma once

#include <string>
#include <string_view>

#include "tendril/tcp.hpp"

class RawClient {
 public:
  explicit RawClient(uint16_t port)
      : stream_(tendril::connect(tendril::SocketAddress::loopback(port))), reader_(stream_) {
    stream_.set_timeout(std::chrono::seconds(20));
  }

  void say(std::string_view text) { stream_.write(text); }
  void say_end() { stream_.shutdown_write(); }

  // One answer with a Content-Length: "STATUS BODY".
  std::string answer() {
    std::string line;
    if (!reader_.read_line(line)) return "end";
    const std::string status = line.substr(line.find(' ') + 1, 3);
    size_t length = 0;
    head = line + "\n";
    while (reader_.read_line(line) && !line.empty()) {
      head += line + "\n";
      if (line.starts_with("Content-Length: ")) length = std::stoul(line.substr(16));
    }
    return status + " " + reader_.read_exactly(length);
  }
  std::string rest() { return reader_.read_all(); }
  tendril::SocketStream& stream() { return stream_; }

  std::string head;  // of the last answer

 private:
  tendril::SocketStream stream_;
  tendril::StreamReader reader_;
};

inline std::string get(std::string_view target, std::string_view more = {}) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}
