// chat [PORT]: a chat server with two fibers for each client: a reader, which hands what it reads
// to everybody, and a writer, which sends what others have said. A client that reads slowly fills
// its own queue only, and loses the oldest lines. Try it with: nc 127.0.0.1 PORT
#include <tendril/serve.hpp>
#include <tendril/tendril.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

using namespace std::chrono_literals;
using Lines = tendril::Queue<std::string>;

class Room {
 public:
  bool contains(const std::string& name) const { return members_.contains(name); }
  void say(const std::string& line) {
    for (auto& [name, lines] : members_) {
      if (lines->full()) lines->try_get();
      std::string copy = line;
      lines->try_put(copy);
    }
  }

  // A guest is in the room as long as this lives.
  class Guest {
   public:
    Guest(Room& room, std::string name, Lines& lines) : room_(room), name_(std::move(name)) {
      room_.members_[name_] = &lines;
      room_.say("* " + name_ + " has come");
    }
    ~Guest() {
      room_.members_.erase(name_);
      room_.say("* " + name_ + " has left");
    }

   private:
    Room& room_;
    const std::string name_;
  };

 private:
  std::map<std::string, Lines*> members_;  // fibers of one OS thread need no lock for this
};

void chat(Room& room, tendril::Stream& client) {
  tendril::StreamReader reader(client);
  std::string name;
  client.write("Who are you?\n");
  if (!reader.read_line(name, 40) || name.empty() || room.contains(name)) return;

  Lines lines(100);
  const Room::Guest guest(room, name, lines);
  tendril::Scope scope;  // ends the writer with us
  scope.spawn([&] {
    for (const std::string& line : lines) client.write(line + '\n');
  });
  for (std::string line; reader.read_line(line, 1000);) room.say(name + ": " + line);
  scope.cancel();
}

int main(int argc, char** argv) {
  Room room;
  const auto port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  tendril::StreamServer server(
      tendril::SocketAddress::loopback(port),
      [&](tendril::Stream& client, const tendril::SocketAddress&) { chat(room, client); });
  auto interrupted = tendril::on_signal(SIGINT, [&] { server.stop(); });
  auto terminated = tendril::on_signal(SIGTERM, [&] { server.stop(); });
  std::printf("chatting on port %d\n", server.port());
  std::fflush(stdout);
  server.serve_forever();
}
