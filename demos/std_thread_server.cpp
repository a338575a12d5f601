// The C++ sibling of thread_per_connection_server.c: std::thread, std::mutex, thread_local,
// std::this_thread::sleep_for, exceptions; blocking throughout. It knows nothing of Tendril.
//
//   std_thread_server [--port N] [--work-us N]
//
// Same protocol, same answers.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace {

constexpr std::size_t kRequestMax = 2048;
constexpr int kBacklog = 4096;

std::chrono::microseconds work{0};

/// Connections that are open now, by descriptor: shared by all threads, as such tables are.
class OpenConnections {
 public:
  void add(int fd) {
    std::lock_guard lock(mutex_);
    if (!opened_.emplace(fd, std::chrono::steady_clock::now()).second) {
      throw std::logic_error("descriptor " + std::to_string(fd) + " is open twice");
    }
  }
  void remove(int fd) {
    std::lock_guard lock(mutex_);
    opened_.erase(fd);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<int, std::chrono::steady_clock::time_point> opened_;
};

OpenConnections open_connections;
thread_local std::string request_line;  // a thread_local with a constructor and a destructor
thread_local unsigned requests_of_connection = 0;

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) { open_connections.add(fd_); }
  ~Connection() {
    open_connections.remove(fd_);
    close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void serve() {
    std::string held;
    for (;;) {
      const std::size_t end = held.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (held.size() > kRequestMax || !receive(held)) return;
        continue;
      }
      const std::string head = held.substr(0, end + 2);
      held.erase(0, end + 4);
      answer(head);
      if (head.find("\r\nConnection: close\r\n") != std::string::npos) return;
    }
  }

 private:
  bool receive(std::string& held) {
    char buffer[kRequestMax];
    ssize_t received;
    do {
      received = read(fd_, buffer, sizeof buffer);
    } while (received < 0 && errno == EINTR);
    if (received <= 0) return false;
    held.append(buffer, static_cast<std::size_t>(received));
    return true;
  }

  void answer(const std::string& head) {
    request_line = head.substr(0, head.find("\r\n"));
    ++requests_of_connection;
    const std::size_t path_end = request_line.find(" HTTP/1.");
    std::string status = "200 OK";
    std::string body = "Only GET is spoken here.\n";
    if (request_line.rfind("GET /", 0) == 0 && path_end != std::string::npos) {
      body = "Hello " + request_line.substr(4, path_end - 4) + ", this is request " +
             std::to_string(requests_of_connection) + " of your connection.\n";
    } else {
      status = "400 Bad Request";
    }
    if (work.count() > 0) std::this_thread::sleep_for(work);
    send("HTTP/1.1 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void send(const std::string& response) {
    for (std::size_t sent = 0; sent < response.size();) {
      const ssize_t written = write(fd_, response.data() + sent, response.size() - sent);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw std::system_error(errno, std::generic_category(), "write");
      sent += static_cast<std::size_t>(written);
    }
  }

  int fd_;
};

void connection_thread(int fd) {
  try {
    Connection(fd).serve();
  } catch (const std::system_error&) {
    // The client went away in the middle of an answer.
  }
}

int listen_on(int port) {
  const auto check = [](int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
  };
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int on = 1;

  const int fd = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  check(bind(fd, generic, size), "bind");
  check(listen(fd, kBacklog), "listen");
  check(getsockname(fd, generic, &size), "getsockname");
  std::cout << "listening on http://127.0.0.1:" << ntohs(address.sin_port) << "/" << std::endl;
  return fd;
}

[[noreturn]] void accept_for_ever(int listener) {
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      std::perror("accept");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // some connection will end
      continue;
    }
    try {
      std::thread(connection_thread, fd).detach();
    } catch (const std::system_error& error) {
      std::cerr << "std::thread: " << error.what() << "\n";
      close(fd);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { _exit(0); });
  std::signal(SIGINT, [](int) { _exit(0); });
  try {
    int port = 0;
    for (int i = 1; i < argc; i += 2) {
      const std::string option = argv[i];
      const long value = i + 1 < argc ? std::stol(argv[i + 1]) : -1;
      if (option == "--port" && value >= 0 && value < 65536) {
        port = static_cast<int>(value);
      } else if (option == "--work-us" && value >= 0) {
        work = std::chrono::microseconds(value);
      } else {
        throw std::invalid_argument(option);
      }
    }
    accept_for_ever(listen_on(port));
  } catch (const std::logic_error&) {
    std::cerr << "usage: " << argv[0] << " [--port N] [--work-us N]\n";
    return 2;
  } catch (const std::system_error& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n";
    return 1;
  }
}
