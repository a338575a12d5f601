#include "tendril/http_server.hpp"

#include <vector>

#include "http_client.hpp"
#include "tendril/event.hpp"
#include "tendril/subprocess.hpp"
#include "tests/io/io_tests.hpp"

using tendril::HttpRequest;
using tendril::HttpResponse;
using tendril::HttpServer;
using tendril::SocketAddress;
using namespace std::chrono_literals;

namespace {

// Of a request for /held.
tendril::Event held, let_go;

void handle(HttpRequest& request, HttpResponse& response) {
  const auto path = request.path();
  if (path == "/echo") {
    response.send(request.method + " " + request.read_body());
  } else if (path == "/stream") {
    for (int i = 0; i < 3; ++i) {
      response.write("part " + std::to_string(i) + "\n");
      tendril::yield();
    }
  } else if (path == "/slow") {
    tendril::sleep(20ms);
    response.send("slow");
  } else if (path == "/held") {
    held.set();
    let_go.wait();
    response.send("held");
  } else if (path == "/teapot") {
    throw tendril::HttpError(418, "short and stout");
  } else if (path == "/short") {
    response.headers.set("Content-Length", "10");
    response.write("12345");
  } else {
    response.send("hello " + request.target);
  }
}

std::string url(const HttpServer& server, const std::string& target) {
  return "http://127.0.0.1:" + std::to_string(server.port()) + target;
}

std::string curl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"curl", "-sS", "--noproxy", "*", "--max-time", "20"});
  const auto done = tendril::run(arguments);
  return done.output + done.error;
}

}  // namespace

TEST_CASE("curl is served: bodies by length and in chunks, both ways") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  server.start();
  CHECK(curl({url(server, "/x?y=z")}) == "hello /x?y=z");
  CHECK(curl({"-d", "body", url(server, "/echo")}) == "POST body");
  CHECK(curl({"-d", "body", "-H", "Transfer-Encoding: chunked", url(server, "/echo")}) ==
        "POST body");
  CHECK(curl({url(server, "/stream")}) == "part 0\npart 1\npart 2\n");
  CHECK(curl({"--http1.0", url(server, "/stream")}) == "part 0\npart 1\npart 2\n");
  CHECK(curl({url(server, "/teapot")}) == "short and stout\n");
  CHECK(curl({"-o", "/dev/null", "-w", "%{http_code}", url(server, "/teapot")}) == "418");
  CHECK(curl({"-I", "-o", "/dev/null", "-w", "%{http_code}", url(server, "/")}) == "200");
  CHECK(curl({url(server, "/short")}).find("curl: (18)") != std::string::npos);
}

TEST_CASE("curl sends megabytes after 100 Continue, and uses one connection twice") {
  CleanIo clean;
  ScratchDirectory directory;
  HttpServer server(SocketAddress::loopback(0), [](HttpRequest& request, HttpResponse& response) {
    response.send(std::to_string(request.read_body().size()));
  });
  server.start();
  const std::string file = directory / "big";
  std::filesystem::resize_file((fclose(fopen(file.c_str(), "w")), file), 5'000'000);
  CHECK(curl({"-H", "Expect: 100-continue", "--data-binary", "@" + file, url(server, "/")}) ==
        "5000000");
  CHECK(curl({"-w", "%{num_connects}", url(server, "/"), url(server, "/")}) == "0100");
}

TEST_CASE("requests in a row on one connection are answered in their order") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  server.start();
  RawClient client(server.port());
  client.say(get("/slow") + "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
             get("/three") +
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
             "2\r\nde\r\n1;ext=1\r\nf\r\n0\r\nTrailer: x\r\n\r\n" +
             get("/last", "Connection: close\r\n"));
  CHECK(client.answer() == "200 slow");
  CHECK(client.answer() == "200 POST abc");
  CHECK(client.answer() == "200 hello /three");
  CHECK(client.answer() == "200 POST def");
  CHECK(client.answer() == "200 hello /last");
  CHECK(client.answer() == "end");
}

TEST_CASE("a request may come byte by byte; a body that nobody reads is skipped") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  server.start();
  RawClient client(server.port());
  client.stream().set_no_delay();
  for (const char c :
       "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd" + get("/next")) {
    client.say({&c, 1});
    tendril::yield();
  }
  CHECK(client.answer() == "200 hello /unread");
  CHECK(client.answer() == "200 hello /next");
}

TEST_CASE("HTTP/1.0 closes unless asked to keep alive") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  server.start();
  RawClient client(server.port());
  client.say("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.answer() == "200 hello /a");
  client.say("GET /b HTTP/1.0\r\n\r\n");
  CHECK(client.answer() == "200 hello /b");
  CHECK(client.answer() == "end");
}

TEST_CASE("what a handler may not put into a header") {
  tendril::HttpHeaders headers;
  CHECK_THROWS_AS(headers.add("X", "a\r\nSet-Cookie: b"), std::invalid_argument);
  CHECK_THROWS_AS(headers.add("", "a"), std::invalid_argument);
  CHECK_THROWS_AS(headers.add("A B", "a"), std::invalid_argument);
  headers.add("Accept", "a");
  headers.set("accept", "b");
  CHECK(headers.get("ACCEPT") == "b");
  CHECK(headers.get("other", "none") == "none");
}

TEST_CASE("a graceful stop answers who is being served and closes idle connections at once") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  auto running = tendril::spawn([&] { server.serve_forever(); });
  RawClient idle(server.port());
  idle.say(get("/"));
  CHECK(idle.answer() == "200 hello /");
  RawClient busy(server.port());
  busy.say(get("/held"));
  CHECK(held.wait(20s));
  auto later = tendril::spawn([] {
    tendril::sleep(50ms);  // the stop has begun
    let_go.set();
  });
  CHECK(server.stop(20s));
  CHECK(busy.answer() == "200 held");
  CHECK(busy.head.find("Connection: close") != std::string::npos);
  CHECK(idle.answer() == "end");
  running.get();
}

TEST_CASE("a graceful stop answers the first request of who was accepted before") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  auto running = tendril::spawn([&] { server.serve_forever(); });
  RawClient silent(server.port());
  while (server.connections() < 1) tendril::sleep(1ms);
  RawClient waiting(server.port());
  waiting.say(get("/"));
  while (server.connections() < 2) tendril::yield();  // accepted, and has not begun to read
  auto stop = tendril::spawn([&] { return server.stop(20s); });
  CHECK(waiting.answer() == "200 hello /");
  CHECK(!stop.ready());
  silent.say(get("/late"));
  CHECK(silent.answer() == "200 hello /late");
  CHECK(silent.head.find("Connection: close") != std::string::npos);
  CHECK(stop.get());
  running.get();
}

TEST_CASE("five hundred clients, keep-alive") {
  CleanIo clean;
  HttpServer server(SocketAddress::loopback(0), handle);
  server.start();
  std::vector<tendril::Fiber<>> clients;
  int right = 0;
  for (int i = 0; i < 500; ++i) {
    clients.push_back(tendril::spawn([&] {
      RawClient client(server.port());
      for (int round = 0; round < 4; ++round) {
        client.say(get("/x"));
        if (client.answer() == "200 hello /x") ++right;
      }
    }));
  }
  for (auto& client : clients) client.get();
  CHECK(right == 2000);
}
