#include "tendril/unix_socket.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "io_tests.hpp"

using namespace std::chrono_literals;

TEST_CASE("a Unix socket by path and by abstract name") {
  CleanIo clean;
  ScratchDirectory directory;
  for (const std::string& path :
       {directory / "socket", "@tendril-test-" + std::to_string(getpid())}) {
    tendril::Listener listener = tendril::listen_unix(path);
    auto server = tendril::spawn([&] { listener.accept().write("hello"); });
    tendril::SocketStream client = tendril::connect_unix(path);
    CHECK(tendril::StreamReader(client).read_all() == "hello");
    server.get();
  }
}

TEST_CASE("a socket left behind is replaced, one in use is not") {
  CleanIo clean;
  ScratchDirectory directory;
  const std::string path = directory / "socket";
  { tendril::Listener left_behind = tendril::listen_unix(path); }
  tendril::Listener listener = tendril::listen_unix(path);
  CHECK(error_of([&] { tendril::listen_unix(path); }) == EADDRINUSE);
  CHECK(error_of([&] { tendril::connect_unix(directory / "none"); }) == ENOENT);
}

TEST_CASE("a descriptor is passed over a Unix socket") {
  CleanIo clean;
  auto [a, b] = tendril::socket_pair();
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  tendril::FdStream in(ends[1]);
  auto receiver = tendril::spawn([&b = b] {
    tendril::FdStream out(tendril::receive_descriptor(b));
    return tendril::StreamReader(out).read_all();
  });
  tendril::yield();
  tendril::send_descriptor(a, ends[0]);
  ::close(ends[0]);
  in.write("through the pipe");
  in.close();
  CHECK(receiver.get() == "through the pipe");
  a.write("x");
  CHECK(error_of([&b = b] { tendril::receive_descriptor(b); }) == EBADMSG);
  a.close();
  CHECK(tendril::receive_descriptor(b) == -1);
}
