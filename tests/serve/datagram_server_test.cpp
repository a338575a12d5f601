#include "tendril/datagram_server.hpp"

#include "tests/io/io_tests.hpp"

using tendril::DatagramServer;
using tendril::DatagramSocket;
using tendril::SocketAddress;
using namespace std::chrono_literals;

TEST_CASE("each datagram is answered in a fiber of its own: slow ones delay nobody") {
  CleanIo clean;
  DatagramServer server(SocketAddress::loopback(0),
                        [](DatagramServer& me, const std::string& text, const SocketAddress& from) {
                          if (text == "slow") tendril::sleep(20ms);
                          me.send_to(text, from);
                        });
  server.start();
  DatagramSocket client(SocketAddress::loopback(0));
  client.set_timeout(20s);
  client.send_to("slow", server.address());
  client.send_to("fast", server.address());
  char buffer[16];
  CHECK(std::string(buffer, client.receive(buffer, sizeof buffer)) == "fast");
  CHECK(std::string(buffer, client.receive(buffer, sizeof buffer)) == "slow");
}

TEST_CASE("a graceful stop lets handlers answer") {
  CleanIo clean;
  tendril::Event came;
  DatagramServer server(SocketAddress::loopback(0), [&](DatagramServer& me, const std::string& text,
                                                        const SocketAddress& from) {
    came.set();
    tendril::sleep(5ms);
    me.send_to(text, from);
  });
  auto running = tendril::spawn([&] { server.serve_forever(); });
  DatagramSocket client(SocketAddress::loopback(0));
  client.set_timeout(20s);
  client.send_to("x", server.address());
  CHECK(came.wait(20s));
  CHECK(server.stop(20s));
  char c;
  CHECK(client.receive(&c, 1) == 1);
  running.get();
}
