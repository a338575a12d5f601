// Servers of several hubs, each on an OS thread of its own, that share one port.
#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "tendril/http_server.hpp"
#include "tendril/run_workers.hpp"
#include "tendril/tcp.hpp"
#include "tests/io/io_tests.hpp"

using tendril::SocketAddress;
using tendril::SocketStream;
using namespace std::chrono_literals;

namespace {

constexpr unsigned kHubs = 3;

// Runs a server on each of some hubs, all on one port, and the clients on this one.
class ServersOnOnePort {
 public:
  // `make(address, worker)` makes a server that shares its port.
  template <typename Make>
  explicit ServersOnOnePort(Make make) {
    running_ = tendril::spawn([this, make] {
      tendril::run_workers(kHubs, [this, &make](unsigned worker) { serve(make, worker); });
    });
    listening_.wait();
  }

  SocketAddress address() { return address_.get(); }
  // Stops all with the given grace: whether none had to kill anybody.
  bool stop(tendril::Duration grace) {
    grace_ = grace;
    stop_.set();
    running_.get();
    return in_time_ == kHubs;
  }

 private:
  template <typename Make>
  void serve(const Make& make, unsigned worker) {
    auto server = make(worker == 0 ? SocketAddress::loopback(0) : address_.get(), worker);
    if (worker == 0) address_.set(server->address());
    server->start();
    listening_.count_down();
    stop_.wait();
    if (server->stop(grace_)) ++in_time_;
  }

  tendril::AsyncResult<SocketAddress> address_;
  tendril::Latch listening_{kHubs};
  tendril::Event stop_;
  tendril::Duration grace_{};
  std::atomic<unsigned> in_time_{0};
  tendril::Fiber<> running_;
};

std::string ask(const SocketAddress& address) {
  SocketStream client = tendril::connect(address, 20s);
  client.set_timeout(20s);
  client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return tendril::StreamReader(client).read_all();
}

}  // namespace

TEST_CASE("every hub is given some of the connections to the one port, on its own thread") {
  CleanIo clean;
  std::array<std::atomic<int>, kHubs> served{};
  std::atomic<int> strayed{0};
  ServersOnOnePort servers([&](const SocketAddress& address, unsigned worker) {
    const int hub = tendril::list_fibers(tendril::Threads::kThis).front().thread;
    return std::make_unique<tendril::StreamServer>(
        address,
        [&served, &strayed, hub, worker](tendril::Stream& client, const SocketAddress&) {
          ++served[worker];
          strayed += tendril::list_fibers(tendril::Threads::kThis).front().thread != hub;
          char c;
          while (client.read(&c, 1) == 1) client.write(&c, 1);
        },
        tendril::StreamServerOptions{.reuse_port = true});
  });
  // The kernel chooses by a hash of the addresses: with 300 ports none of three is left out.
  std::vector<tendril::Fiber<std::string>> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(tendril::spawn([&servers, i] {
      SocketStream client = tendril::connect(servers.address(), 20s);
      client.set_timeout(20s);
      client.write(std::to_string(i));
      client.shutdown_write();
      return tendril::StreamReader(client).read_all();
    }));
  }
  for (int i = 0; i < 300; ++i) CHECK(clients[static_cast<size_t>(i)].get() == std::to_string(i));
  CHECK(servers.stop(10s));
  int sum = 0;
  for (const auto& of_hub : served) {
    CHECK(of_hub > 0);
    sum += of_hub;
  }
  CHECK(sum == 300);
  CHECK(strayed == 0);
}

TEST_CASE("a graceful stop of all hubs answers the requests that are being served") {
  CleanIo clean;
  tendril::Event go_on;
  tendril::Semaphore begun{0};
  ServersOnOnePort servers([&](const SocketAddress& address, unsigned worker) {
    tendril::HttpServerOptions options;
    options.stream.reuse_port = true;
    return std::make_unique<tendril::HttpServer>(
        address,
        [&, worker](tendril::HttpRequest&, tendril::HttpResponse& response) {
          begun.release();
          go_on.wait();
          response.send("from hub " + std::to_string(worker));
        },
        options);
  });
  constexpr int kClients = 30;
  std::vector<tendril::Fiber<std::string>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(tendril::spawn([&servers] { return ask(servers.address()); }));
  }
  for (int i = 0; i < kClients; ++i) begun.acquire();
  auto stopper = tendril::spawn([&servers] { return servers.stop(20s); });
  tendril::yield();
  go_on.set();
  for (auto& client : clients) CHECK(client.get().find("from hub ") != std::string::npos);
  CHECK(stopper.get());
}

TEST_CASE("without grace clients are cut off, on all hubs") {
  CleanIo clean;
  tendril::Semaphore begun{0};
  ServersOnOnePort servers([&](const SocketAddress& address, unsigned) {
    return std::make_unique<tendril::StreamServer>(
        address,
        [&begun](tendril::Stream& client, const SocketAddress&) {
          begun.release();
          char c;
          while (client.read(&c, 1) == 1) client.write(&c, 1);
        },
        tendril::StreamServerOptions{.reuse_port = true});
  });
  std::vector<SocketStream> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(tendril::connect(servers.address(), 20s));
  for (int i = 0; i < 60; ++i) begun.acquire();
  CHECK(!servers.stop(0s));
  for (SocketStream& client : clients) {
    char c;
    client.set_timeout(20s);
    CHECK(client.read(&c, 1) == 0);
  }
}
