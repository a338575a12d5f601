#include "tendril/address.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using tendril::SocketAddress;

TEST_CASE("addresses are read and written in numbers") {
  CHECK(SocketAddress::ip("127.0.0.1", 80).to_string() == "127.0.0.1:80");
  CHECK(SocketAddress::ip("::1", 443).to_string() == "[::1]:443");
  CHECK(SocketAddress::ip("::1", 443).port() == 443);
  CHECK(SocketAddress::ip("10.1.2.3", 1).host() == "10.1.2.3");
  CHECK(SocketAddress().to_string() == "");
  CHECK_THROWS_AS(SocketAddress::ip("localhost", 80), std::invalid_argument);
  CHECK_THROWS_AS(SocketAddress::ip("", 80), std::invalid_argument);
}

TEST_CASE("paths of Unix sockets, and names of the abstract space") {
  CHECK(SocketAddress::local("/run/x.sock").path() == "/run/x.sock");
  CHECK(SocketAddress::local("@name").path() == "@name");
  CHECK_THROWS_AS(SocketAddress::local(std::string(200, 'x')), std::invalid_argument);
  CHECK_THROWS_AS(SocketAddress::local(""), std::invalid_argument);
  CHECK(SocketAddress::local(std::string(107, 'x')).path() == std::string(107, 'x'));
}

TEST_CASE("equal addresses are equal") {
  CHECK(SocketAddress::loopback(80) == SocketAddress::ip("127.0.0.1", 80));
  CHECK(!(SocketAddress::loopback(80) == SocketAddress::loopback(81)));
}
