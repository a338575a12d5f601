#include "http_client.hpp"
#include "tendril/http_server.hpp"
#include "tests/io/io_tests.hpp"

using tendril::HttpRequest;
using tendril::HttpResponse;
using tendril::HttpServer;
using tendril::HttpServerOptions;
using tendril::SocketAddress;
using namespace std::chrono_literals;

namespace {

void echo(HttpRequest& request, HttpResponse& response) { response.send(request.read_body()); }

// What the server says to that; the connection is closed then.
std::string answer_to(const HttpServer& server, const std::string& text) {
  RawClient client(server.port());
  try {
    client.say(text);
  } catch (const std::system_error&) {
    // It has heard enough.
  }
  const std::string answer = client.answer();
  CHECK(client.answer() == "end");
  return answer.substr(0, 3);
}

}  // namespace

TEST_CASE("what is no HTTP, or too much of it, gets the status that says so") {
  CleanIo clean;
  HttpServerOptions options;
  options.max_header_size = 1000;
  options.max_body_size = 1000;
  HttpServer server(SocketAddress::loopback(0), echo, options);
  server.start();
  CHECK(answer_to(server, "GET hello\r\n\r\n") == "400");
  CHECK(answer_to(server, "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n") == "501");
  CHECK(answer_to(server, "GET / HTTP/3.0\r\nHost: x\r\n\r\n") == "505");
  CHECK(answer_to(server, "GET / HTTP/1.1\r\n\r\n") == "400");  // no Host
  CHECK(answer_to(server, get("/" + std::string(2000, 'x'))) == "431");
  CHECK(answer_to(server, get("/", "X: " + std::string(200'000, 'x') + "\r\n")) == "431");
  std::string many;
  for (int i = 0; i < 500; ++i) many += "A: b\r\n";
  CHECK(answer_to(server, get("/", many)) == "431");
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  CHECK(answer_to(server, post + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x')) == "413");
  CHECK(answer_to(server, post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                              std::string(1001, 'x')) == "413");
  CHECK(answer_to(server, post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n") == "400");
  CHECK(answer_to(server, post + "Expect: miracles\r\nContent-Length: 1\r\n\r\n") == "417");
  // Two ways to tell where a body ends are how requests are smuggled.
  CHECK(answer_to(server, post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "400");
  CHECK(answer_to(server, post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n") == "400");
}

TEST_CASE("what is within the limits passes") {
  CleanIo clean;
  HttpServerOptions options;
  options.max_body_size = 1000;
  HttpServer server(SocketAddress::loopback(0), echo, options);
  server.start();
  RawClient client(server.port());
  client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  CHECK(client.answer() == "200 " + std::string(1000, 'x'));
}

TEST_CASE("a slow loris is told off, however it drips") {
  CleanIo clean;
  HttpServerOptions options;
  options.header_timeout = 60ms;
  HttpServer server(SocketAddress::loopback(0), echo, options);
  server.start();
  RawClient client(server.port());
  auto dripping = tendril::spawn([&] {
    client.say("GET / HTTP/1.1\r\n");
    for (;;) {
      client.say("X: y\r\n");
      tendril::sleep(5ms);
    }
  });
  CHECK(client.answer().substr(0, 3) == "408");
  dripping.kill();
}

TEST_CASE("a body that does not come is 408, one that drips below the rate too") {
  CleanIo clean;
  HttpServerOptions options;
  options.body_timeout = 50ms;
  HttpServer server(SocketAddress::loopback(0), echo, options);
  server.start();
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n";
  RawClient silent(server.port());
  silent.say(post);
  CHECK(silent.answer().substr(0, 3) == "408");
  RawClient slow(server.port());
  auto dripping = tendril::spawn([&] {
    slow.say(post);
    for (;;) {
      slow.say("x");
      tendril::sleep(5ms);
    }
  });
  CHECK(slow.answer().substr(0, 3) == "408");
  dripping.kill();
}

TEST_CASE("idle connections are closed, silently") {
  CleanIo clean;
  HttpServerOptions options;
  options.keep_alive_timeout = 20ms;
  options.header_timeout = 20ms;
  HttpServer server(SocketAddress::loopback(0), echo, options);
  server.start();
  RawClient client(server.port());
  client.say(get("/"));
  CHECK(client.answer() == "200 ");
  CHECK(client.answer() == "end");
  RawClient mute(server.port());
  CHECK(mute.answer() == "end");
}

TEST_CASE("a client that does not take its answer is given up") {
  CleanIo clean;
  HttpServerOptions options;
  options.write_timeout = 20ms;
  options.min_rate = 1'000'000'000;
  tendril::Event gone;
  HttpServer server(
      SocketAddress::loopback(0),
      [&](HttpRequest&, HttpResponse& response) {
        const std::string part(1 << 20, 'x');
        try {
          for (;;) response.write(part);
        } catch (const tendril::HttpClientGone&) {
          gone.set();
          throw;
        }
      },
      options);
  server.start();
  RawClient client(server.port());
  client.say(get("/"));
  CHECK(gone.wait(20s));
}
