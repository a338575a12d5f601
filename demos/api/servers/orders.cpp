// orders: a stream of orders, read as an iterator. A fiber receives them from a connection and puts
// them into a short queue; the loop that takes them looks like any loop, and its pace holds the
// sender back.
#include <tendril/tendril.hpp>

#include <cstdio>
#include <map>
#include <string>

struct Order {
  std::string item;
  int pieces = 0;
};

// One line each: "ITEM PIECES".
void receive(tendril::SocketStream& connection, tendril::Queue<Order>& orders) {
  tendril::StreamReader reader(connection);
  for (std::string line; reader.read_line(line);) {
    const size_t space = line.find(' ');
    orders.put({line.substr(0, space), std::stoi(line.substr(space + 1))});
  }
  orders.shutdown();  // ends the loop once it has taken all
}

int main() {
  auto [shop, customers] = tendril::socket_pair();
  tendril::Scope scope;
  scope.spawn([&customers = customers] {
    for (int i = 1; i <= 1000; ++i) {
      customers.write((i % 3 == 0 ? "tea " : "coffee ") + std::to_string(i) + '\n');
    }
    customers.shutdown_write();
  });
  tendril::Queue<Order> orders(4);
  scope.spawn([&orders, &shop = shop] { receive(shop, orders); });

  std::map<std::string, int> sold;
  for (const Order& order : orders) sold[order.item] += order.pieces;
  for (const auto& [item, pieces] : sold) std::printf("%s: %d\n", item.c_str(), pieces);
}
