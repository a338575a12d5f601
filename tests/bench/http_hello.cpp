// Hello by HttpServer, on one OS thread.
#include <tendril/serve.hpp>
#include <tendril/tendril.hpp>

#include <cstdio>

int main() {
  tendril::HttpServer server(
      tendril::SocketAddress::loopback(0),
      [](tendril::HttpRequest&, tendril::HttpResponse& response) { response.send("hello\n"); });
  std::printf("listening %d\n", server.port());
  std::fflush(stdout);
  server.serve_forever();
}
