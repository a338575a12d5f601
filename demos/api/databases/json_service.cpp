// json_service DATABASE AMQP_PORT [PACKERS]: takes orders by HTTP, keeps them in PostgreSQL, and
// has them packed by whoever reads a queue of RabbitMQ: here, some fibers of the same program.
//
//   POST /orders {"item": "tea", "pieces": 2}   201 {"id": 7, "item": "tea", …, "state":
//   "received"} GET  /orders/7                              200 {"id": 7, "item": "tea", …,
//   "state": "packed"} GET  /orders                                200 {"received": 0, "packed": 7}
//
// HTTP is the library's own; the database and the queue are spoken to by their C clients, which
// block. They block one fiber each: the program links tendril::interpose.
#include "amqp.hpp"
#include "postgres.hpp"
#include "resource_pool.hpp"

#include <tendril/serve.hpp>

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

using namespace std::chrono_literals;
using tendril::HttpRequest;
using tendril::HttpResponse;
using Json = nlohmann::json;

constexpr const char* kQueue = "orders-to-pack";
constexpr size_t kConnections = 4;  // of each kind

class Orders {
 public:
  Orders(const std::string& database, int amqp_port)
      : databases_(kConnections, [&] { return std::make_unique<Postgres>(database); }),
        queues_(kConnections, [&] { return std::make_unique<Amqp>(amqp_port); }) {
    databases_.lend()->query(
        "create table if not exists orders (id serial primary key, item text not null,"
        " pieces int not null check (pieces > 0), state text not null default 'received')");
    queues_.lend()->declare(kQueue);
  }

  Json take(const Json& order) {
    const std::string item = order.at("item");
    const int pieces = order.at("pieces");
    if (pieces < 1) throw std::invalid_argument("too few pieces");
    const auto rows = databases_.lend()->query(
        "insert into orders (item, pieces) values ($1, $2) returning id, item, pieces, state",
        {item, std::to_string(pieces)});
    // It is in the database before anybody can be told to pack it. Should this fail, the client
    // hears of it and the order stays received.
    queues_.lend()->publish(kQueue, rows[0][0]);
    return as_json(rows[0]);
  }

  Json find(const std::string& id) {
    const auto rows = databases_.lend()->query(
        "select id, item, pieces, state from orders where id::text = $1", {id});
    return rows.empty() ? Json() : as_json(rows[0]);
  }

  Json count() {
    Json counts{{"received", 0}, {"packed", 0}};
    const std::string query = "select state, count(*) from orders group by state";
    for (const auto& row : databases_.lend()->query(query)) counts[row[0]] = std::stoi(row[1]);
    return counts;
  }

  void pack(const std::string& id) {
    databases_.lend()->query("update orders set state = 'packed' where id = $1", {id});
  }

 private:
  static Json as_json(const Postgres::Row& row) {
    return {{"id", std::stoi(row[0])},
            {"item", row[1]},
            {"pieces", std::stoi(row[2])},
            {"state", row[3]}};
  }

  ResourcePool<Postgres> databases_;
  ResourcePool<Amqp> queues_;
};

// Packs what the queue says until it is told to stop.
void pack_orders(Orders& orders, int amqp_port, const tendril::Event& stop) {
  Amqp queue(amqp_port);
  queue.subscribe(kQueue);
  while (!stop.is_set()) {
    const auto message = queue.receive(1);
    if (!message) continue;
    orders.pack(message->body);
    queue.acknowledge(*message);
  }
}

void send(HttpResponse& response, int status, const Json& json) {
  response.headers.set("Content-Type", "application/json");
  response.send(status, json.dump() + '\n');
}

void answer(Orders& orders, HttpRequest& request, HttpResponse& response) {
  constexpr std::string_view kOne = "/orders/";
  const std::string_view path = request.path();
  if (path == "/orders" && request.method == "POST") {
    return send(response, 201, orders.take(Json::parse(request.read_body())));
  }
  if (path == "/orders" && request.method == "GET") return send(response, 200, orders.count());
  if (path.starts_with(kOne) && request.method == "GET") {
    const Json order = orders.find(std::string(path.substr(kOne.size())));
    if (!order.is_null()) return send(response, 200, order);
  }
  send(response, 404, {{"error", "There is nothing here."}});
}

void serve(Orders& orders, HttpRequest& request, HttpResponse& response) {
  try {
    answer(orders, request, response);
  } catch (const Json::exception& error) {
    send(response, 400, {{"error", error.what()}});
  } catch (const std::invalid_argument& error) {
    send(response, 400, {{"error", error.what()}});
  } catch (const PostgresError& error) {
    send(response, 503, {{"error", error.what()}});
  } catch (const AmqpError& error) {
    send(response, 503, {{"error", error.what()}});
  }
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: json_service DATABASE AMQP_PORT [PACKERS]\n");
    return 2;
  }
  const int amqp_port = std::atoi(argv[2]);
  Orders orders(argv[1], amqp_port);
  tendril::HttpServer server(
      tendril::SocketAddress::loopback(0),
      [&](auto& request, auto& response) { serve(orders, request, response); });
  auto interrupted = tendril::on_signal(SIGINT, [&] { server.stop(5s); });
  auto terminated = tendril::on_signal(SIGTERM, [&] { server.stop(5s); });

  tendril::Event stop;
  tendril::Scope packers;
  const int count = argc > 3 ? std::atoi(argv[3]) : 2;
  for (int n = 0; n < count; ++n) {
    packers.spawn([&] { pack_orders(orders, amqp_port, stop); });
  }
  std::printf("taking orders on port %d\n", server.port());
  std::fflush(stdout);
  server.serve_forever();
  stop.set();
}
