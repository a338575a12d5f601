#include "tendril/io.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "clean.hpp"
#include "error_of.hpp"

namespace io = tendril::io;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  int ends[2];
  Pipe() { REQUIRE(pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    for (const int fd : ends) {
      if (fd >= 0) io::close(fd);
    }
  }
  int in() const { return ends[1]; }
  int out() const { return ends[0]; }
};

}  // namespace

TEST_CASE("a read waits for the write of another fiber") {
  Clean clean;
  Pipe pipe;
  auto reader = tendril::spawn([&] {
    char buffer[16];
    return std::string(buffer, io::read(pipe.out(), buffer, sizeof buffer));
  });
  tendril::yield();
  CHECK(!reader.ready());
  io::write_all(pipe.in(), "hello", 5);
  CHECK(reader.get() == "hello");
}

TEST_CASE("a large write goes through a small pipe") {
  Clean clean;
  Pipe pipe;
  const std::string sent(1 << 20, 'x');
  auto writer = tendril::spawn([&] {
    io::write_all(pipe.in(), sent.data(), sent.size());
    io::close(std::exchange(pipe.ends[1], -1));
  });
  std::string got(sent.size() + 1, '\0');
  got.resize(io::read_all(pipe.out(), got.data(), got.size()));
  CHECK(got == sent);
  writer.join();
}

TEST_CASE("who always finds something to read or write lets others go on") {
  Clean clean;
  constexpr int kMost = 50'000'000;  // a sleep of 1 ms ends long before
  const int zeros = ::open("/dev/zero", O_RDWR | O_CLOEXEC);
  REQUIRE(zeros >= 0);
  for (const bool reads : {true, false}) {
    bool slept = false;
    int calls = 0;
    auto busy = tendril::spawn([&] {
      char c = 0;
      for (; !slept && calls < kMost; ++calls) {
        if (reads) {
          io::read(zeros, &c, 1);
        } else {
          io::write(zeros, &c, 1);
        }
      }
    });
    tendril::sleep(1ms);
    slept = true;
    busy.join();
    CHECK(calls > 0);
    CHECK(calls < kMost);
  }
  ::close(zeros);
}

TEST_CASE("timeouts and kills end a wait for a descriptor; it works on") {
  Clean clean;
  Pipe pipe;
  char c;
  CHECK_THROWS_AS(io::read(pipe.out(), &c, 1, 1ms), tendril::TimeoutError);
  CHECK(!tendril::try_within(1ms, [&] { io::read(pipe.out(), &c, 1); }));
  auto reader = tendril::spawn([&] { io::read(pipe.out(), &c, 1); });
  tendril::yield();
  reader.kill();
  io::write_all(pipe.in(), "y", 1);
  CHECK(io::read(pipe.out(), &c, 1) == 1);
  CHECK(c == 'y');
}

TEST_CASE("close wakes who waits with EBADF") {
  Clean clean;
  Pipe pipe;
  auto reader = tendril::spawn([&] {
    char c;
    return error_of([&] { io::read(pipe.out(), &c, 1); });
  });
  tendril::yield();
  io::close(std::exchange(pipe.ends[0], -1));
  CHECK(reader.get() == EBADF);
}

TEST_CASE("a broken pipe is an error, never a signal") {
  Clean clean;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  io::close(ends[0]);
  CHECK(error_of([&] { io::write_all(ends[1], "x", 1); }) == EPIPE);
  io::close(ends[1]);
}

TEST_CASE("accept, connect and 100 clients at once over TCP") {
  Clean clean;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(listener, 128) == 0);
  socklen_t length = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  constexpr int kClients = 100;
  auto server = tendril::spawn([&] {
    std::vector<tendril::Fiber<>> handlers;
    for (int i = 0; i < kClients; ++i) {
      handlers.push_back(tendril::spawn([fd = io::accept(listener)] {
        char buffer[64];
        while (const size_t n = io::read(fd, buffer, sizeof buffer)) io::write_all(fd, buffer, n);
        io::close(fd);
      }));
    }
    for (auto& handler : handlers) handler.get();
  });
  std::vector<tendril::Fiber<>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(tendril::spawn([&address, i] {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      io::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
      for (int round = 0; round < 5; ++round) {
        const std::string text = "client " + std::to_string(i);
        io::write_all(fd, text.data(), text.size());
        char buffer[64];
        const size_t n = io::read_all(fd, buffer, text.size());
        CHECK(std::string(buffer, n) == text);
      }
      io::close(fd);
    }));
  }
  for (auto& client : clients) client.get();
  server.get();
  io::close(listener);
  const int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(error_of([&] {
          io::connect(refused, reinterpret_cast<sockaddr*>(&address), sizeof address);
        }) == ECONNREFUSED);
  io::close(refused);
}

TEST_CASE("wait_read and wait_write say what is possible") {
  Clean clean;
  Pipe pipe;
  CHECK(io::wait_write(pipe.in()));
  CHECK(!io::wait_read(pipe.out(), 0ms));
  CHECK(!io::wait_read(pipe.out(), 1ms));
  auto waiter = tendril::spawn([&] { return io::wait_read(pipe.out()); });
  tendril::yield();
  CHECK(write(pipe.in(), "x", 1) == 1);
  CHECK(waiter.get());
  CHECK(error_of([] { io::wait_read(999'999); }) == EBADF);
}

TEST_CASE("wait_read survives a descriptor that others close and reuse") {
  Clean clean;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    auto waiter = tendril::spawn([fd = ends[0]] { return io::wait_read(fd, 5s); });
    tendril::yield();
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(waiter.get());
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

TEST_CASE("files are read and written") {
  Clean clean;
  char path[] = "/tmp/tendril-io-test-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  unlink(path);
  io::write_all(fd, "contents", 8);
  lseek(fd, 0, SEEK_SET);
  char buffer[16];
  CHECK(io::read(fd, buffer, sizeof buffer) == 8);
  CHECK(io::read(fd, buffer, sizeof buffer) == 0);
  io::close(fd);
}
