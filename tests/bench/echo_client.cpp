// The client of the echo benchmark: the slice method.
//
//   echo_client --connections N [--rounds N --slices N --slice-ms N --anew] name=port:pid...
//
// One process holds N connections to each server and alternates short slices between the servers,
// so that whatever else the machine does hits all of them alike. In a slice every connection sends
// 64 bytes, waits for the echo, checks it and sends again; the slice ends when the last echo is
// back, and the CPU time of the server's process over it is read from the kernel's clock (ns). A
// round is some slices of each server; what is printed are medians over rounds, and medians over
// rounds of the ratio to the first server in the same round.
//
// --anew: each request has a connection of its own, which is closed when the echo is back.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "latency_histogram.hpp"
#include "process_usage.hpp"

namespace {

using Ns = std::int64_t;
constexpr Ns kSecond = 1'000'000'000;
constexpr Ns kMillisecond = 1'000'000;
constexpr std::size_t kMessage = 64;

struct Options {
  unsigned connections = 100;
  unsigned rounds = 5;
  unsigned slices = 16;
  unsigned slice_ms = 60;
  bool anew = false;
  std::vector<std::string> servers;
};

Ns now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

[[noreturn]] void fail(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Sample {
  std::uint64_t requests = 0;
  Ns wall = 0;
  Ns server_cpu = 0;
  Ns client_cpu = 0;

  void add(const Sample& other) {
    requests += other.requests;
    wall += other.wall;
    server_cpu += other.server_cpu;
    client_cpu += other.client_cpu;
  }
  double cpu_per_request() const { return static_cast<double>(server_cpu) / requests; }
  double requests_per_second() const { return requests / (wall * 1e-9); }
  double server_busy() const { return static_cast<double>(server_cpu) / wall; }
  double client_busy() const { return static_cast<double>(client_cpu) / wall; }
};

/// The connections to one server, and what it did in each round.
class Server {
 public:
  Server(const std::string& text, unsigned connections, bool anew)
      : anew_(anew), connections_(connections) {
    const std::size_t equals = text.find('=');
    const std::size_t colon = text.find(':', equals + 1);
    if (equals == std::string::npos || colon == std::string::npos) {
      throw std::invalid_argument("a server is name=port:pid, not " + text);
    }
    name_ = text.substr(0, equals);
    port_ = std::stoi(text.substr(equals + 1));
    pid_ = std::stoi(text.substr(colon + 1));
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail("epoll_create1");
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].message[0] = i;
      if (!anew_) connect_and_echo(i);
    }
  }

  /// Asks on every connection until `length` is over and the last echo is back.
  Sample slice(Ns length) {
    Sample sample;
    sample.server_cpu = -demos::cpu_ns(pid_);
    sample.client_cpu = -now(CLOCK_PROCESS_CPUTIME_ID);
    const Ns began = now();
    const Ns until = began + length;
    for (Connection& connection : connections_) ask(connection, now());
    std::size_t waiting = connections_.size();
    Ns time = began;
    while (waiting > 0) {
      std::array<epoll_event, 512> events;
      const int ready = epoll_wait(epoll_, events.data(), events.size(), 5000);
      if (ready == 0) throw std::runtime_error(name_ + " stopped answering");
      for (int i = 0; i < ready; ++i) {
        Connection& connection = connections_[events[static_cast<std::size_t>(i)].data.u64];
        if (!receive_echo(connection, MSG_DONTWAIT)) continue;
        time = now();
        ++sample.requests;
        latency_.add(time - connection.sent_at);
        if (anew_) close(connection.fd);
        if (time < until) {
          ask(connection, time);
        } else {
          --waiting;
        }
      }
    }
    sample.wall = time - began;
    sample.client_cpu += now(CLOCK_PROCESS_CPUTIME_ID);
    sample.server_cpu += demos::cpu_ns(pid_);
    return sample;
  }

  void warm_up(Ns length) {
    slice(length);
    latency_.clear();
  }

  const std::string& name() const { return name_; }
  const demos::LatencyHistogram& latency() const { return latency_; }
  std::vector<Sample> rounds;

 private:
  struct Connection {
    int fd = -1;
    Ns sent_at = 0;
    std::size_t received = 0;
    std::array<std::uint64_t, kMessage / sizeof(std::uint64_t)> message{};
    std::array<std::uint64_t, kMessage / sizeof(std::uint64_t)> echo{};
  };

  // Blocking.
  void connect(Connection& connection) {
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) fail("socket");
    const timeval patience = {5, 0};
    const int on = 1;
    setsockopt(connection.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
      fail("connect to " + name_);
    }
  }

  void watch(std::size_t index) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = index;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[index].fd, &event) < 0) fail("epoll_ctl");
  }

  // The server has accepted it before the next one comes.
  void connect_and_echo(std::size_t index) {
    Connection& connection = connections_[index];
    connect(connection);
    send_request(connection, now());
    if (!receive_echo(connection, MSG_WAITALL)) throw std::runtime_error(name_ + " did not echo");
    watch(index);
  }

  void ask(Connection& connection, Ns time) {
    if (anew_) {
      connect(connection);
      watch(connection.message[0]);
    }
    send_request(connection, time);
  }

  void send_request(Connection& connection, Ns time) {
    ++connection.message[kMessage / sizeof(std::uint64_t) - 1];
    connection.received = 0;
    connection.sent_at = time;
    const auto sent = send(connection.fd, connection.message.data(), kMessage, MSG_NOSIGNAL);
    if (sent != kMessage) fail("send to " + name_);
  }

  // False while the echo is incomplete. `flags`: MSG_WAITALL or MSG_DONTWAIT.
  bool receive_echo(Connection& connection, int flags) {
    auto* const echo = reinterpret_cast<char*>(connection.echo.data());
    const auto received =
        recv(connection.fd, echo + connection.received, kMessage - connection.received, flags);
    if (received < 0 && errno == EAGAIN) return false;
    if (received < 0) fail("recv from " + name_);
    if (received == 0) throw std::runtime_error(name_ + " closed a connection");
    connection.received += static_cast<std::size_t>(received);
    if (connection.received < kMessage) return false;
    if (connection.echo != connection.message) throw std::runtime_error(name_ + " echoed wrongly");
    return true;
  }

  std::string name_;
  int port_ = 0;
  pid_t pid_ = 0;
  int epoll_ = -1;
  const bool anew_;
  std::vector<Connection> connections_;
  demos::LatencyHistogram latency_;
};

template <typename Figure>
double median(const std::vector<Sample>& samples, Figure figure) {
  std::vector<double> values;
  for (std::size_t i = 0; i < samples.size(); ++i) values.push_back(figure(samples[i], i));
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void report(const Server& server, const Server& baseline) {
  const auto figure = [&](double (Sample::*of)() const) {
    return median(server.rounds,
                  [of](const Sample& sample, std::size_t) { return (sample.*of)(); });
  };
  const auto ratio = [&](double (Sample::*of)() const) {
    return median(server.rounds, [&](const Sample& sample, std::size_t round) {
      return (sample.*of)() / (baseline.rounds[round].*of)();
    });
  };
  const auto us = [&](double fraction) { return server.latency().quantile_ns(fraction) * 1e-3; };
  std::printf(
      "name=%s cpu_ns_per_request=%.0f cpu_ratio=%.3f requests_per_second=%.0f rate_ratio=%.3f "
      "p50_us=%.1f p99_us=%.1f p999_us=%.1f server_busy=%.3f client_busy=%.3f\n",
      server.name().c_str(), figure(&Sample::cpu_per_request), ratio(&Sample::cpu_per_request),
      figure(&Sample::requests_per_second), ratio(&Sample::requests_per_second), us(0.5), us(0.99),
      us(0.999), figure(&Sample::server_busy), figure(&Sample::client_busy));
}

void run(const Options& options) {
  std::vector<std::unique_ptr<Server>> servers;
  for (const std::string& text : options.servers) {
    servers.push_back(std::make_unique<Server>(text, options.connections, options.anew));
  }
  const Ns length = options.slice_ms * kMillisecond;
  for (auto& server : servers) server->warm_up(length);
  for (unsigned round = 0; round < options.rounds; ++round) {
    std::vector<Sample> sums(servers.size());
    for (unsigned slice = 0; slice < options.slices; ++slice) {
      for (std::size_t i = 0; i < servers.size(); ++i) sums[i].add(servers[i]->slice(length));
    }
    for (std::size_t i = 0; i < servers.size(); ++i) servers[i]->rounds.push_back(sums[i]);
  }
  for (auto& server : servers) report(*server, *servers.front());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Measures echo servers against each other, in alternating slices.");
  app.add_option("--connections", options.connections, "to each server")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--rounds", options.rounds, "medians are over these")->check(CLI::Range(1, 1000));
  app.add_option("--slices", options.slices, "of each server in a round")
      ->check(CLI::Range(1, 1000));
  app.add_option("--slice-ms", options.slice_ms, "length of a slice")->check(CLI::Range(1, 60000));
  app.add_flag("--anew", options.anew, "a connection for each request");
  app.add_option("server", options.servers, "name=port:pid; the first is the baseline")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::cerr << "echo_client: " << error.what() << "\n";
    return 1;
  }
}
