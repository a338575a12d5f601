// db_proxy ADDRESS [CONNECTIONS]: many clients share a few connections to PostgreSQL. A client
// sends one statement a line and gets its rows, values apart by tabs, then an empty line; or a line
// that begins with "!" and says what was wrong. ADDRESS is libpq's: "host=… dbname=…".
//
// Each client is a fiber, and asks the database by libpq, which blocks. It blocks that fiber only:
// the program links tendril::interpose, so the system calls inside libpq are cooperative. A slow
// query keeps one connection of the pool busy; those who ask short questions use the others.
#include "postgres.hpp"
#include "resource_pool.hpp"

#include <tendril/serve.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>

using namespace std::chrono_literals;
using Connections = ResourcePool<Postgres>;

std::string answer(Connections& connections, const std::string& statement) {
  std::string text;
  try {
    // Lent for the statement only, not for as long as the client stays.
    for (const auto& row : connections.lend()->query(statement)) {
      for (size_t column = 0; column < row.size(); ++column) {
        if (column > 0) text += '\t';
        text += row[column];
      }
      text += '\n';
    }
  } catch (const PostgresError& error) {
    text = std::string("! ") + error.what() + '\n';
  }
  return text + '\n';
}

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: db_proxy ADDRESS [CONNECTIONS]\n");
    return 2;
  }
  const std::string address = argv[1];
  Connections connections(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 4,
                          [&] { return std::make_unique<Postgres>(address); });
  tendril::StreamServer server(tendril::SocketAddress::loopback(0),
                               [&](tendril::Stream& client, const tendril::SocketAddress&) {
                                 tendril::StreamReader reader(client);
                                 for (std::string line; reader.read_line(line);)
                                   client.write(answer(connections, line));
                               });
  auto interrupted = tendril::on_signal(SIGINT, [&] { server.stop(5s); });
  auto terminated = tendril::on_signal(SIGTERM, [&] { server.stop(5s); });
  std::printf("proxying on port %d\n", server.port());
  std::fflush(stdout);
  server.serve_forever();
}
