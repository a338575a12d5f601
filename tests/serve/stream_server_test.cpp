#include "tendril/stream_server.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tendril/tcp.hpp"
#include "tests/io/io_tests.hpp"

using tendril::SocketAddress;
using tendril::SocketStream;
using tendril::Stream;
using tendril::StreamServer;
using namespace std::chrono_literals;

namespace {

void echo(Stream& client, const SocketAddress&) {
  char buffer[4096];
  while (const size_t n = client.read(buffer, sizeof buffer)) client.write(buffer, n);
}

std::string talk(uint16_t port, const std::string& text) {
  SocketStream stream = tendril::connect(SocketAddress::loopback(port));
  stream.set_timeout(20s);
  stream.write(text);
  stream.shutdown_write();
  return tendril::StreamReader(stream).read_all();
}

}  // namespace

TEST_CASE("a hundred clients at once") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), echo);
  server.start();
  server.start();
  std::vector<tendril::Fiber<std::string>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(
        tendril::spawn([&server, i] { return talk(server.port(), std::to_string(i)); }));
  }
  for (int i = 0; i < 100; ++i) CHECK(clients[i].get() == std::to_string(i));
  CHECK(server.stop(10s));
}

TEST_CASE("no more are served at once than allowed; the others wait their turn") {
  CleanIo clean;
  size_t now = 0;
  size_t most = 0;
  StreamServer server(SocketAddress::loopback(0),
                      [&](Stream& client, const SocketAddress& peer) {
                        most = std::max(most, ++now);
                        tendril::sleep(2ms);
                        echo(client, peer);
                        --now;
                      },
                      {.max_connections = 3});
  server.start();
  std::vector<tendril::Fiber<std::string>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(tendril::spawn([&server] { return talk(server.port(), "x"); }));
  }
  for (auto& client : clients) CHECK(client.get() == "x");
  CHECK(most == 3);
}

TEST_CASE("a graceful stop lets clients finish; a deadline ends the others") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), echo);
  auto running = tendril::spawn([&] { server.serve_forever(); });
  tendril::yield();
  SocketStream client = tendril::connect(SocketAddress::loopback(server.port()));
  client.write("x");
  char c;
  CHECK(client.read(&c, 1) == 1);
  auto stop = tendril::spawn([&] { return server.stop(20s); });
  tendril::yield();
  CHECK(error_of([&] { tendril::connect(SocketAddress::loopback(server.port())); }) ==
        ECONNREFUSED);
  client.write("y");  // is still served
  CHECK(client.read(&c, 1) == 1);
  client.close();
  CHECK(stop.get());
  running.get();

  StreamServer stubborn(SocketAddress::loopback(0), echo);
  stubborn.start();
  SocketStream idler = tendril::connect(SocketAddress::loopback(stubborn.port()));
  idler.write("x");
  CHECK(idler.read(&c, 1) == 1);
  CHECK(!stubborn.stop(5ms));
  CHECK(idler.read(&c, 1) == 0);
}

TEST_CASE("a killed serve_forever stops the server") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), echo);
  auto running = tendril::spawn([&] { server.serve_forever(); });
  tendril::yield();
  running.kill();
  CHECK(!server.running());
}

TEST_CASE("when descriptors run out the server pauses, and serves when there are some") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), echo);
  server.start();
  SocketStream client = tendril::connect(SocketAddress::loopback(server.port()));
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int lowest = dup(0);
  ::close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  client.write("x");
  client.set_timeout(100ms);
  char c;
  const clock_t before = clock();
  CHECK_THROWS_AS(client.read(&c, 1), tendril::TimeoutError);
  CHECK(clock() - before < CLOCKS_PER_SEC / 25);  // it does not spin
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  client.set_timeout(20s);
  CHECK(client.read(&c, 1) == 1);
}

TEST_CASE("what a handler throws ends its connection only") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), [](Stream& client, const SocketAddress& peer) {
    char c;
    client.read(&c, 1);
    if (c == '!') throw std::system_error(ECONNRESET, std::generic_category(), "as by the peer");
    echo(client, peer);
  });
  server.start();
  CHECK(talk(server.port(), "!") == "");
  CHECK(talk(server.port(), "?x") == "x");
}

TEST_CASE("what a handler throws is reported, with the client's address; a disconnect is not") {
  CleanIo clean;
  StreamServer server(SocketAddress::loopback(0), [](Stream& client, const SocketAddress&) {
    char c;
    client.read(&c, 1);
    if (c == '!') throw std::system_error(EPIPE, std::generic_category(), "as by the peer");
    throw std::runtime_error("what went wrong");
  });
  server.start();
  // Standard error goes into a pipe meanwhile.
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const int before = dup(2);
  dup2(ends[1], 2);
  CHECK(talk(server.port(), "!") == "");
  CHECK(talk(server.port(), "?") == "");
  server.stop(20s);
  dup2(before, 2);
  close(before);
  close(ends[1]);
  tendril::FdStream output(ends[0]);
  const std::string text = tendril::StreamReader(output).read_all();
  CHECK(text.starts_with("tendril: unhandled exception ended client 127.0.0.1:"));
  CHECK(text.ends_with("std::runtime_error: what went wrong\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("on an inherited listener, and over a Unix socket") {
  CleanIo clean;
  tendril::Listener original(SocketAddress::loopback(0));
  StreamServer server(tendril::Listener::inherited(original.release()), echo);
  server.start();
  CHECK(talk(server.port(), "x") == "x");
  ScratchDirectory directory;
  StreamServer local(SocketAddress::local(directory / "socket"), echo);
  local.start();
  SocketStream client = tendril::connect(local.address());
  client.write("y");
  char c;
  CHECK(client.read(&c, 1) == 1);
}
