#include "tendril/stream.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>

#include "io_tests.hpp"
#include "tendril/socket.hpp"

using tendril::FdStream;
using tendril::StreamReader;
using namespace std::chrono_literals;

TEST_CASE("two fibers that read one stream at once are told so") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  auto reader = tendril::spawn([&] {
    char c;
    return a.read(&c, 1);
  });
  tendril::yield();
  char c;
  CHECK_THROWS_AS(a.read(&c, 1), tendril::ConcurrentUse);
  a.write("x");  // the other direction is free
  b.write("y");
  CHECK(reader.get() == 1);
}

TEST_CASE("a stream's timeout is for each call") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  a.set_timeout(2ms);
  char c;
  CHECK_THROWS_AS(a.read(&c, 1), tendril::TimeoutError);
  b.write("x");
  CHECK(a.read(&c, 1) == 1);
}

TEST_CASE("writing to a peer that does not read times out") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  a.set_timeout(2ms);
  CHECK_THROWS_AS(a.write(std::string(1 << 22, 'x')), tendril::TimeoutError);
}

TEST_CASE("shutdown_read ends a read that waits; what has come is read first") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  b.write("last");
  auto reader = tendril::spawn([&a = a] {
    StreamReader lines(a);
    return lines.read_all();
  });
  tendril::yield();
  tendril::sleep(1ms);
  a.shutdown_read();
  CHECK(reader.get() == "last");
}

TEST_CASE("close wakes who reads") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  auto reader = tendril::spawn([&a = a] {
    return error_of([&] {
      char c;
      a.read(&c, 1);
    });
  });
  tendril::yield();
  a.close();
  a.close();
  CHECK(reader.get() == EBADF);
}

TEST_CASE("a pipe whose reader is gone is EPIPE, never a signal") {
  CleanIo clean;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  FdStream in(ends[1]);
  ::close(ends[0]);
  // Often: in a green process signals of the runtime come in between.
  int broken = 0;
  for (int i = 0; i < 20'000; ++i) broken += error_of([&] { in.write("x"); }) == EPIPE ? 1 : 0;
  CHECK(broken == 20'000);
}

TEST_CASE("a reader gives lines, lengths and the rest") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  auto writer = tendril::spawn([&b = b] {
    for (const char* part : {"one\r\ntw", "o\n", "\n12345re", "st\nend"}) {
      b.write(part);
      tendril::yield();
    }
    b.shutdown_write();
  });
  StreamReader reader(a);
  std::string line;
  CHECK(reader.read_line(line));
  CHECK(line == "one");
  CHECK(reader.read_line(line));
  CHECK(line == "two");
  CHECK(reader.read_line(line));
  CHECK(line == "");
  CHECK(reader.read_exactly(5) == "12345");
  CHECK(reader.read_line(line));
  CHECK(line == "rest");
  CHECK(reader.read_line(line));
  CHECK(line == "end");
  CHECK(!reader.read_line(line));
  CHECK(reader.read_exactly(3) == "");
  writer.get();
}

TEST_CASE("lines have a limit, and a timeout loses nothing") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  StreamReader reader(a);
  std::string line;
  a.set_timeout(1ms);
  b.write("abc");
  CHECK_THROWS_AS(reader.read_line(line), tendril::TimeoutError);
  b.write("def\n");
  CHECK(reader.read_line(line));
  CHECK(line == "abcdef");
  b.write("0123456789\n");
  CHECK_THROWS_AS(reader.read_line(line, 9), std::length_error);
}

TEST_CASE("streams move") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  a.set_timeout(1s);
  tendril::SocketStream moved = std::move(a);
  CHECK(!a.is_open());
  CHECK(moved.timeout() == 1s);
  moved.write("x");
  char c;
  CHECK(b.read(&c, 1) == 1);
  moved = tendril::SocketStream();
  CHECK(b.read(&c, 1) == 0);
}
