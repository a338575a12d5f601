#include "tendril/resolver.hpp"

#include <netdb.h>

#include <algorithm>

#include "io_tests.hpp"
#include "runtime/hub/worker.hpp"

using tendril::SocketAddress;
using namespace std::chrono_literals;

TEST_CASE("a name of this machine") {
  CleanIo clean;
  const auto addresses = tendril::resolve("localhost", 80);
  REQUIRE(!addresses.empty());
  CHECK(std::any_of(addresses.begin(), addresses.end(), [](const SocketAddress& a) {
    return a.host() == "127.0.0.1" || a.host() == "::1";
  }));
  CHECK(addresses.front().port() == 80);
  const auto four = tendril::resolve("localhost", 80, {.family = AF_INET});
  CHECK(four.front() == SocketAddress::loopback(80));
}

TEST_CASE("numbers need no look-up, services have names") {
  CleanIo clean;
  CHECK(tendril::resolve("127.0.0.1", 7).front() == SocketAddress::loopback(7));
  CHECK(tendril::resolve("::1", 7).front().to_string() == "[::1]:7");
  CHECK(tendril::resolve("127.0.0.1", "7").front().port() == 7);
  CHECK(tendril::resolve("", 9, {.family = AF_INET, .passive = true}).front().host() == "0.0.0.0");
}

TEST_CASE("what does not exist is an error that says so") {
  CleanIo clean;
  try {
    tendril::resolve("no-such-host.invalid", 80, {.timeout = 60s});
    FAIL("it was found");
  } catch (const tendril::ResolveError& error) {
    CHECK(error.code() != 0);
    CHECK(std::string(error.what()).find("no-such-host.invalid") != std::string::npos);
  }
}

TEST_CASE("other fibers run during a look-up, and a kill ends the wait for it") {
  CleanIo clean;
  bool ran = false;
  auto other = tendril::spawn([&] { ran = true; });
  tendril::resolve("localhost", 80);
  CHECK(ran);
  auto victim = tendril::spawn([] { tendril::resolve("localhost", 80); });
  tendril::yield();
  CHECK(victim.kill(nullptr, 10s));
  CHECK_THROWS_AS(tendril::resolve("localhost", 80, {.timeout = 0s}), tendril::TimeoutError);
  // The loop is still well after look-ups that nobody waits for.
  CHECK(!tendril::resolve("localhost", 80).empty());
  // Those have files open until they end.
  while (tendril::rt::current_worker()->loop_is_alive()) tendril::sleep(1ms);
}

TEST_CASE("an address back to a name") {
  CleanIo clean;
  CHECK(!tendril::reverse_lookup(SocketAddress::loopback(0)).empty());
}
