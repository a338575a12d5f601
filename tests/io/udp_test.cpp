#include "tendril/udp.hpp"

#include <string>

#include "io_tests.hpp"

using tendril::DatagramSocket;
using tendril::SocketAddress;
using namespace std::chrono_literals;

TEST_CASE("datagrams go to and fro") {
  CleanIo clean;
  DatagramSocket server(SocketAddress::loopback(0));
  auto echo = tendril::spawn([&] {
    char buffer[64];
    for (int i = 0; i < 3; ++i) {
      SocketAddress from;
      const size_t size = server.receive_from(buffer, sizeof buffer, from);
      server.send_to({buffer, size}, from);
    }
  });
  DatagramSocket client(AF_INET);
  client.connect(server.local_address());
  char buffer[64];
  for (const std::string text : {"a", "", "three"}) {
    client.send(text);
    CHECK(std::string(buffer, client.receive(buffer, sizeof buffer)) == text);
  }
  echo.get();
}

TEST_CASE("a receive times out and can be killed") {
  CleanIo clean;
  DatagramSocket socket(SocketAddress::loopback(0));
  socket.set_timeout(1ms);
  char buffer[8];
  CHECK_THROWS_AS(socket.receive(buffer, sizeof buffer), tendril::TimeoutError);
  socket.set_timeout(tendril::kForever);
  auto receiver = tendril::spawn([&] { socket.receive(buffer, sizeof buffer); });
  tendril::yield();
  receiver.kill();
  CHECK(receiver.ready());
}

TEST_CASE("a datagram to a closed port is ECONNREFUSED for who is connected") {
  CleanIo clean;
  DatagramSocket client(AF_INET);
  client.connect(DatagramSocket(SocketAddress::loopback(0)).local_address());
  client.send("x");
  char buffer[8];
  CHECK(error_of([&] { client.receive(buffer, sizeof buffer); }) == ECONNREFUSED);
}
