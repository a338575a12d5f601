#include "tendril/tcp.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "io_tests.hpp"

using tendril::Listener;
using tendril::SocketAddress;
using tendril::SocketStream;
using namespace std::chrono_literals;

namespace {

// A port on which nobody listens.
uint16_t free_port() { return Listener(SocketAddress::loopback(0)).port(); }

std::string talk(SocketStream stream, const std::string& text) {
  stream.write(text);
  stream.shutdown_write();
  return tendril::StreamReader(stream).read_all();
}

// Echoes one connection.
tendril::Fiber<> echo_one(Listener& listener) {
  return tendril::spawn([&listener] {
    SocketStream stream = listener.accept();
    stream.write(tendril::StreamReader(stream).read_all());
  });
}

}  // namespace

TEST_CASE("a connection by name and by address") {
  CleanIo clean;
  Listener listener = tendril::listen_tcp("127.0.0.1", 0);
  for (const char* host : {"127.0.0.1", "localhost"}) {
    auto server = echo_one(listener);
    CHECK(talk(tendril::create_connection(host, listener.port()), "hello") == "hello");
    server.get();
  }
}

TEST_CASE("both ends know each other") {
  CleanIo clean;
  Listener listener(SocketAddress::loopback(0));
  auto accepted = tendril::spawn([&] {
    SocketAddress peer;
    SocketStream stream = listener.accept(&peer);
    CHECK(stream.peer_address() == peer);
    return peer;
  });
  SocketStream client = tendril::connect(listener.address());
  CHECK(accepted.get() == client.local_address());
  CHECK(client.peer_address() == listener.address());
}

TEST_CASE("a refused connection is ECONNREFUSED") {
  CleanIo clean;
  const uint16_t port = free_port();
  CHECK(error_of([&] { tendril::connect(SocketAddress::loopback(port), 5s); }) == ECONNREFUSED);
  CHECK(error_of([&] { tendril::create_connection("localhost", port); }) == ECONNREFUSED);
}

TEST_CASE("the second address is used when the first refuses") {
  CleanIo clean;
  Listener listener(SocketAddress::loopback(0));
  auto server = echo_one(listener);
  const std::vector<SocketAddress> both{SocketAddress::loopback(free_port()), listener.address()};
  CHECK(talk(tendril::create_connection(both), "x") == "x");
  server.get();
}

TEST_CASE("a silent address is overtaken by the next") {
  CleanIo clean;
  // A listener whose queue is full answers nobody.
  Listener full(SocketAddress::loopback(0), {.backlog = 0});
  SocketStream filler = tendril::connect(full.address());
  Listener listener(SocketAddress::loopback(0));
  auto server = echo_one(listener);
  const std::vector<SocketAddress> both{full.address(), listener.address()};
  tendril::ConnectOptions options;
  options.attempt_delay = 5ms;
  options.timeout = 10s;
  CHECK(talk(tendril::create_connection(both, options), "x") == "x");
  server.get();
  options.timeout = 10ms;
  const std::vector<SocketAddress> silent{full.address(), full.address()};
  CHECK_THROWS_AS(tendril::create_connection(silent, options), tendril::TimeoutError);
  CHECK_THROWS_AS(tendril::connect(full.address(), 2ms), tendril::TimeoutError);
}

TEST_CASE("kill and Timeout end accept and connect") {
  CleanIo clean;
  Listener listener(SocketAddress::loopback(0));
  auto server = tendril::spawn([&] { listener.accept(); });
  tendril::yield();
  server.kill();
  CHECK(server.ready());
  CHECK(!tendril::try_within(1ms, [&] { listener.accept(); }));
  CHECK_THROWS_AS(listener.accept(nullptr, 1ms), tendril::TimeoutError);
}

TEST_CASE("closing a listener wakes who accepts with EBADF") {
  CleanIo clean;
  Listener listener(SocketAddress::loopback(0));
  auto server = tendril::spawn([&] { return error_of([&] { listener.accept(); }); });
  tendril::yield();
  listener.close();
  CHECK(server.get() == EBADF);
}

TEST_CASE("an inherited listener works and keeps its flags") {
  CleanIo clean;
  Listener original(SocketAddress::loopback(0));
  const int fd = original.release();
  REQUIRE(fcntl(fd, F_SETFL, 0) == 0);  // blocking, as a service manager hands it over
  Listener listener = Listener::inherited(fd);
  auto server = echo_one(listener);
  CHECK(talk(tendril::connect(listener.address()), "x") == "x");
  server.get();
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  auto [a, b] = tendril::socket_pair();
  CHECK(error_of([&a = a] { Listener::inherited(a.fd()); }) == EINVAL);
}

TEST_CASE("accept without a free descriptor is EMFILE, and goes on when there is one") {
  CleanIo clean;
  Listener listener(SocketAddress::loopback(0));
  SocketStream client = tendril::connect(listener.address());
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int lowest = dup(0);
  ::close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(error_of([&] { listener.accept(); }) == EMFILE);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(listener.accept().is_open());
}

TEST_CASE("several listeners share a port") {
  CleanIo clean;
  Listener first(SocketAddress::loopback(0), {.reuse_port = true});
  Listener second(first.address(), {.reuse_port = true});
  CHECK(first.port() == second.port());
}
