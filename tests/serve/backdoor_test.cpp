#include "tendril/backdoor.hpp"

#include <sys/stat.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "tendril/tcp.hpp"
#include "tendril/unix_socket.hpp"
#include "tests/io/io_tests.hpp"

using tendril::Backdoor;
using tendril::SocketAddress;
using tendril::SocketStream;
using namespace std::chrono_literals;

namespace {

// What is answered until the connection is closed.
std::string ask(const SocketAddress& address, const std::string& lines) {
  SocketStream console = tendril::connect(address, 20s);
  console.set_timeout(20s);
  console.write(lines);
  console.shutdown_write();
  return tendril::StreamReader(console).read_all();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("it shows the fibers of all threads and what they wait for") {
  CleanIo clean;
  tendril::Event stop;
  auto here = tendril::spawn({.name = "here"}, [&] { stop.wait(); });
  tendril::Latch other_waits(1);
  std::thread other([&] {
    auto there = tendril::spawn({.name = "there"}, [&] {
      other_waits.count_down();
      stop.wait();
    });
    there.join();
  });
  other_waits.wait();
  Backdoor backdoor(SocketAddress::loopback(0));
  backdoor.start();
  const std::string text = ask(backdoor.address(), "fibers\nlist\nmemory\n");
  CHECK(has(text, "here (spawned at backdoor_test.cpp:"));
  CHECK(has(text, "there (spawned at backdoor_test.cpp:"));
  CHECK(has(text, "waits: event"));
  CHECK(has(text, " KiB resident\n"));
  stop.set();
  here.join();
  other.join();
}

TEST_CASE("it ends a fiber by its number") {
  CleanIo clean;
  Backdoor backdoor(SocketAddress::loopback(0));
  backdoor.start();
  auto victim = tendril::spawn({.name = "victim"}, [] { tendril::sleep(1h); });
  tendril::yield();
  unsigned long number = 0;
  for (const auto& info : tendril::list_fibers()) {
    if (info.name == "victim") number = info.number;
  }
  CHECK(has(ask(backdoor.address(), "kill " + std::to_string(number) + "\n"),
            "told victim to end\n"));
  CHECK(victim.join(20s));
  CHECK(victim.successful());
}

TEST_CASE("bad input is answered, and the console goes on") {
  CleanIo clean;
  Backdoor backdoor(SocketAddress::loopback(0));
  backdoor.add_command("double", "says it twice", [](std::string_view text) {
    if (text.empty()) throw std::runtime_error("what?");
    return std::string(text) + std::string(text);
  });
  CHECK_THROWS_AS(backdoor.add_command("two words", "", nullptr), std::invalid_argument);
  backdoor.start();
  const std::string text = ask(backdoor.address(),
                               "nonsense\n\nkill\nkill x\nkill 999999999999\ndouble\r\n"
                               "  double  ab \nhelp\nquit\nlist\n");
  CHECK(has(text, "there is no command nonsense; try help\n"));
  CHECK(has(text, "kill: kill takes the number of a fiber"));
  CHECK(has(text, "kill: there is no fiber of that number\n"));
  CHECK(has(text, "double: what?\n"));
  CHECK(has(text, "abab\n"));
  CHECK(has(text, "double  says it twice\n"));
  CHECK(!has(text, "acceptor"));  // it had been told to quit
  CHECK(has(ask(backdoor.address(), std::string(5'000, 'x') + "\n"), "that line is too long\n"));
  CHECK(has(ask(backdoor.address(), "memory"), "resident"));
}

TEST_CASE("a Unix socket is the owner's only; other machines are not let in") {
  CleanIo clean;
  const ScratchDirectory directory;
  const std::string path = directory / "backdoor";
  Backdoor backdoor(SocketAddress::local(path));
  backdoor.start();
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(has(ask(backdoor.address(), "memory\n"), "resident"));
  CHECK_THROWS_AS(Backdoor(SocketAddress::ip("0.0.0.0", 0)), std::invalid_argument);
  CHECK_THROWS_AS(Backdoor(SocketAddress::ip("::", 0)), std::invalid_argument);
  backdoor.stop();
}
