// prefork_master PORT: two workers that tell their process, number and generation, and die or are
// slow on demand.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "tendril/fiber.hpp"
#include "tendril/http_server.hpp"
#include "tendril/prefork.hpp"
#include "tendril/signal.hpp"

using namespace std::chrono_literals;

int main(int, char** arguments) {
  int generation = 1;
  tendril::PreforkOptions options;
  options.address = tendril::SocketAddress::loopback(static_cast<uint16_t>(atoi(arguments[1])));
  options.workers = 2;
  options.grace = 20s;
  options.healthy_after = 1ms;
  options.on_reload = [&] { ++generation; };
  return tendril::run_prefork(options, [&](tendril::Listener listener, unsigned number) {
    tendril::HttpServer server(
        std::move(listener), [&](tendril::HttpRequest& request, tendril::HttpResponse& response) {
          if (request.target == "/die") _exit(1);
          if (request.target == "/slow") tendril::sleep(200ms);
          response.headers.set("Connection", "close");
          response.send(std::to_string(getpid()) + " " + std::to_string(number) + " " +
                        std::to_string(generation));
        });
    auto term = tendril::on_signal(SIGTERM, [&] { server.stop(20s); });
    server.serve_forever();
  });
}
