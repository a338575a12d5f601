// Reads and writes of sockets, of which some wait and others need not. Run with io_uring too, where
// the kernel makes them by itself while the fiber is parked: what ends the wait before must take
// the transfer back, and no byte may be lost by that.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "clean.hpp"
#include "error_of.hpp"

namespace io = tendril::io;
using namespace std::chrono_literals;

namespace {

struct Sockets {
  int ends[2];
  explicit Sockets(int flags = 0) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, ends) == 0);
    // Each knows of both that they are sockets.
    for (const int from : {0, 1}) {
      char c = 'k';
      io::write_all(ends[from], &c, 1);
      CHECK(io::read(ends[1 - from], &c, 1) == 1);
    }
  }
  ~Sockets() {
    for (const int fd : ends) {
      if (fd >= 0) io::close(fd);
    }
  }
  void close(int which) { io::close(std::exchange(ends[which], -1)); }
};

std::string read_some(int fd) {
  char buffer[64];
  return std::string(buffer, io::read(fd, buffer, sizeof buffer));
}

// Writes until the other side has to read.
size_t fill(int fd) {
  size_t written = 0;
  const std::string part(1 << 16, 'f');
  try {
    for (;;) written += io::write(fd, part.data(), part.size(), 1ms);
  } catch (const tendril::TimeoutError&) {
  }
  return written;
}

void drain(int fd, size_t bytes) {
  std::string got(bytes, '\0');
  CHECK(io::read_all(fd, got.data(), bytes) == bytes);
}

}  // namespace

TEST_CASE("what is written is read, in order, by those who waited and those who came later") {
  Clean clean;
  Sockets sockets;
  auto echo = tendril::spawn([fd = sockets.ends[1]] {
    char buffer[4096];
    while (const size_t n = io::read(fd, buffer, sizeof buffer)) io::write_all(fd, buffer, n);
  });
  for (int i = 0; i < 200; ++i) {
    const std::string text = std::to_string(i);
    io::write_all(sockets.ends[0], text.data(), text.size());
    if (i % 3 == 0) tendril::yield();
    std::string got(text.size(), '\0');
    CHECK(io::read_all(sockets.ends[0], got.data(), got.size()) == text.size());
    CHECK(got == text);
  }
  sockets.close(0);
  echo.get();
}

TEST_CASE("a large write goes through a small buffer") {
  Clean clean;
  Sockets sockets;
  const int small = 4096;
  REQUIRE(setsockopt(sockets.ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  std::string sent(3 << 20, '\0');
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 + (i >> 11));
  auto writer = tendril::spawn([&] {
    io::write_all(sockets.ends[0], sent.data(), sent.size());
    sockets.close(0);
  });
  std::string got(sent.size() + 1, '\0');
  got.resize(io::read_all(sockets.ends[1], got.data(), got.size()));
  CHECK(got == sent);
  writer.get();
}

TEST_CASE("timeouts and kills end a read, and the next one gets what comes") {
  Clean clean;
  Sockets sockets;
  const int fd = sockets.ends[0];
  char c = 0;
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_AS(io::read(fd, &c, 1, 200us), tendril::TimeoutError);
    CHECK(!tendril::try_within(200us, [&] { io::read(fd, &c, 1); }));
    auto reader = tendril::spawn([&] { io::read(fd, &c, 1); });
    tendril::yield();
    reader.kill();
    CHECK(write(sockets.ends[1], "y", 1) == 1);
    CHECK(io::read(fd, &c, 1) == 1);
    CHECK(c == 'y');
  }
}

TEST_CASE("a byte that comes when the time is up is read now or by the next one") {
  Clean clean;
  Sockets sockets;
  const int fd = sockets.ends[0];
  size_t got = 0;
  for (int round = 0; round < 200; ++round) {
    auto writer = tendril::spawn([&] {
      tendril::sleep(50us);
      CHECK(write(sockets.ends[1], "z", 1) == 1);
    });
    char c = 0;
    try {
      got += io::read(fd, &c, 1, 50us + std::chrono::microseconds(round % 20));
    } catch (const tendril::TimeoutError&) {
      got += io::read(fd, &c, 1, 5s);
    }
    CHECK(c == 'z');
    writer.get();
  }
  CHECK(got == 200);
}

TEST_CASE("timeouts and kills end a write; all that was said to be written arrives") {
  Clean clean;
  Sockets sockets;
  size_t in_there = fill(sockets.ends[0]);
  CHECK_THROWS_AS(io::write(sockets.ends[0], "x", 1, 1ms), tendril::TimeoutError);
  auto writer = tendril::spawn([&] { io::write(sockets.ends[0], "x", 1); });
  tendril::yield();
  writer.kill();
  drain(sockets.ends[1], in_there);
  io::write_all(sockets.ends[0], "end", 3);
  CHECK(read_some(sockets.ends[1]) == "end");
}

TEST_CASE(
    "close ends the waits of readers and writers with EBADF, and the other side sees the end") {
  Clean clean;
  Sockets sockets;
  const size_t in_there = fill(sockets.ends[0]);
  auto reader = tendril::spawn([fd = sockets.ends[0]] {
    char c;
    return error_of([&] { io::read(fd, &c, 1); });
  });
  auto writer =
      tendril::spawn([fd = sockets.ends[0]] { return error_of([&] { io::write(fd, "x", 1); }); });
  tendril::sleep(1ms);
  CHECK(!reader.ready());
  CHECK(!writer.ready());
  sockets.close(0);
  CHECK(reader.get() == EBADF);
  CHECK(writer.get() == EBADF);
  drain(sockets.ends[1], in_there);
  CHECK(read_some(sockets.ends[1]).empty());
}

TEST_CASE("close by another thread ends a wait too") {
  Clean clean;
  Sockets sockets;
  auto reader = tendril::spawn([fd = sockets.ends[0]] {
    char c;
    return error_of([&] { io::read(fd, &c, 1); });
  });
  tendril::yield();
  std::thread([fd = std::exchange(sockets.ends[0], -1)] { io::close(fd); }).join();
  CHECK(reader.get() == EBADF);
}

TEST_CASE("a number that is closed and used again is another descriptor") {
  Clean clean;
  for (int round = 0; round < 10; ++round) {
    auto sockets = std::make_unique<Sockets>();
    const int fd = sockets->ends[0];
    auto reader = tendril::spawn([&] { return read_some(fd); });
    tendril::yield();
    io::write_all(sockets->ends[1], "one", 3);
    CHECK(reader.get() == "one");
    sockets.reset();
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    auto other = tendril::spawn([&] { return read_some(ends[0]); });
    tendril::yield();
    io::write_all(ends[1], "two", 3);
    CHECK(other.get() == "two");
    io::close(ends[0]);
    io::close(ends[1]);
  }
}

TEST_CASE("a broken connection is an error, never a signal") {
  Clean clean;
  Sockets sockets;
  sockets.close(1);
  CHECK(error_of([&] { io::write_all(sockets.ends[0], "x", 1); }) == EPIPE);
  CHECK(read_some(sockets.ends[0]).empty());
}

TEST_CASE("sockets that are non-blocking wait like others, from the beginning or later") {
  Clean clean;
  Sockets sockets(SOCK_NONBLOCK);
  for (int round = 0; round < 3; ++round) {
    auto reader = tendril::spawn([&] { return read_some(sockets.ends[0]); });
    tendril::yield();
    io::write_all(sockets.ends[1], "text", 4);
    CHECK(reader.get() == "text");
  }
  Sockets later;
  for (const int flags : {0, O_NONBLOCK, 0}) {
    REQUIRE(fcntl(later.ends[0], F_SETFL, O_RDWR | flags) == 0);
    auto reader = tendril::spawn([&] { return read_some(later.ends[0]); });
    tendril::sleep(1ms);
    io::write_all(later.ends[1], "text", 4);
    CHECK(reader.get() == "text");
    const size_t in_there = fill(later.ends[0]);
    auto writer = tendril::spawn([&] { io::write_all(later.ends[0], "x", 1); });
    tendril::yield();
    drain(later.ends[1], in_there + 1);
    writer.get();
  }
}

TEST_CASE("more transfers at once than the ring has entries") {
  Clean clean;
  Sockets sockets;
  constexpr int kReaders = 3000;
  int got = 0;
  std::vector<tendril::Fiber<>> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(tendril::spawn([&] {
      char c;
      got += static_cast<int>(io::read(sockets.ends[0], &c, 1));
    }));
  }
  tendril::sleep(1ms);
  const std::string bytes(kReaders, 'b');
  io::write_all(sockets.ends[1], bytes.data(), bytes.size());
  for (auto& reader : readers) reader.get();
  CHECK(got == kReaders);
  // And many that write, each all of its own.
  std::vector<tendril::Fiber<>> writers;
  for (int i = 0; i < kReaders; ++i) {
    writers.push_back(tendril::spawn([&] { io::write_all(sockets.ends[1], "w", 1); }));
  }
  drain(sockets.ends[0], kReaders);
  for (auto& writer : writers) writer.get();
}

TEST_CASE("all readers of one socket are killed at once") {
  Clean clean;
  Sockets sockets;
  tendril::Group readers;
  for (int i = 0; i < 1000; ++i) {
    readers.spawn([&] {
      char c;
      io::read(sockets.ends[0], &c, 1);
    });
  }
  tendril::sleep(1ms);
  readers.kill();
  io::write_all(sockets.ends[1], "left", 4);
  CHECK(read_some(sockets.ends[0]) == "left");
}

TEST_CASE("libuv's handles, timers and other threads are served beside waiting transfers") {
  tendril::this_hub().loop();  // stays, with descriptors of its own
  Clean clean;
  Sockets sockets;
  auto reader = tendril::spawn([&] { return read_some(sockets.ends[0]); });
  tendril::yield();
  // A handle that stays readable is told again and again.
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  uv_loop_t* loop = tendril::this_hub().loop();
  struct Watch {
    uv_poll_t handle;
    int left = 20;
    tendril::Event seen;
  } watch;
  uv_poll_init(loop, &watch.handle, ends[0]);
  watch.handle.data = &watch;
  uv_poll_start(&watch.handle, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto* w = static_cast<Watch*>(handle->data);
    if (--w->left == 0) {
      uv_poll_stop(handle);
      w->seen.set();
    }
  });
  CHECK(write(ends[1], "x", 1) == 1);
  CHECK(watch.seen.wait(5s));
  tendril::Event closed;
  watch.handle.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&watch.handle),
           [](uv_handle_t* handle) { static_cast<tendril::Event*>(handle->data)->set(); });
  closed.wait();
  tendril::Event from_outside;
  std::thread other([&] {
    std::this_thread::sleep_for(2ms);
    from_outside.set();
  });
  CHECK(from_outside.wait(5s));
  other.join();
  tendril::sleep(1ms);
  CHECK(!reader.ready());
  CHECK(write(sockets.ends[1], "late", 4) == 4);
  CHECK(reader.get() == "late");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("wait_read and a read on the same socket both hear of what comes") {
  Clean clean;
  Sockets sockets;
  auto waiter = tendril::spawn([&] { return io::wait_read(sockets.ends[0], 5s); });
  auto reader = tendril::spawn([&] { return read_some(sockets.ends[0]); });
  tendril::sleep(1ms);
  io::write_all(sockets.ends[1], "data", 4);
  CHECK(reader.get() == "data");
  io::write_all(sockets.ends[1], "more", 4);
  CHECK(waiter.get());
  CHECK(read_some(sockets.ends[0]) == "more");
}
