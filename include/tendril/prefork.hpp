// Cores times fibers: a master that keeps N worker processes, each with a listener of its own on
// one port (SO_REUSEPORT). Link tendril::serve. (gunicorn's model with gevent workers)
//
//   return run_prefork({.address = SocketAddress::loopback(8080)}, [](Listener listener, unsigned)
//   {
//     HttpServer server(std::move(listener), handler);
//     auto term = on_signal(SIGTERM, [&] { server.stop(10s); });
//     server.serve_forever();
//   });
#pragma once

#include <functional>
#include <thread>

#include "tendril/socket.hpp"

namespace tendril {

struct PreforkOptions {
  SocketAddress address = {};
  unsigned workers = std::thread::hardware_concurrency();
  int backlog = 1024;
  Duration grace = std::chrono::seconds(30);  // between SIGTERM and SIGKILL
  // A worker that ends sooner than this after its start is started again only after a pause, which
  // doubles from one time to the next, up to 10 s.
  Duration healthy_after = std::chrono::seconds(1);
  std::function<void()> on_reload = {};  // in the master, before new workers are made
};

// Runs the master; `worker(listener, number)` runs in each child, whose exit status is 0 when it
// returns and 1 when it throws. The master runs no fibers: call this before any use of the runtime
// on this OS thread (MisuseError otherwise).
//
//   SIGHUP         new workers, then SIGTERM to the old ones. The listeners are the master's and
//                  stay, so that no connection is refused or lost.
//   SIGTERM, SIGINT  SIGTERM to all, SIGKILL to those that run when the grace is over; returns.
//
// A worker that dies is replaced. Workers get SIGTERM if the master dies. Returns 0. Throws
// std::system_error if it cannot listen.
int run_prefork(const PreforkOptions& options,
                const std::function<void(Listener listener, unsigned number)>& worker);

}  // namespace tendril
