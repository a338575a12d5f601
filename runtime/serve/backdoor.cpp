#include "tendril/backdoor.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <stdexcept>
#include <utility>

#include "tendril/hub.hpp"
#include "tendril/monitor.hpp"
#include "tendril/stream_server.hpp"

namespace tendril {
namespace {

constexpr size_t kMostConnections = 16;
constexpr size_t kLongestLine = 4096;

bool is_of_this_machine(const SocketAddress& address) {
  if (address.family() == AF_UNIX) return true;
  const std::string host = address.host();
  return host == "::1" || host.starts_with("127.");
}

// Of a Unix socket: its mode does not hold for those of the abstract space.
bool may_enter(const Stream& client) {
  const auto* socket = dynamic_cast<const FdStream*>(&client);
  ucred peer{};
  socklen_t size = sizeof peer;
  return socket != nullptr &&
         getsockopt(socket->fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == 0 || peer.uid == geteuid());
}

std::string list_all() {
  std::string text;
  for (const FiberInfo& info : list_fibers()) {
    text += (info.number != 0 ? std::to_string(info.number) : "-") + "  thread " +
            std::to_string(info.thread) + "  " + info.name + "  " + name_of(info.state);
    if (info.state == FiberState::kWaiting) text += std::string(": ") + info.waits_for;
    text += '\n';
  }
  return text;
}

std::string kill_one(std::string_view number_text) {
  unsigned long number = 0;
  const char* end = number_text.data() + number_text.size();
  const auto [stopped_at, error] = std::from_chars(number_text.data(), end, number);
  if (error != std::errc() || stopped_at != end || number == 0) {
    throw std::invalid_argument("kill takes the number of a fiber, as list shows it");
  }
  for (const FiberInfo& info : list_fibers()) {
    if (info.number != number) continue;
    const std::string name = info.name;
    info.fiber.kill_soon();
    return "told " + name + " to end\n";
  }
  throw std::invalid_argument("there is no fiber of that number");
}

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

struct Backdoor::State {
  struct Known {
    std::string what_it_does;
    Command command;
  };

  explicit State(const SocketAddress& address)
      : server(address, [this](Stream& client, const SocketAddress&) { talk(client); },
               {.max_connections = kMostConnections}) {
    if (const std::string path = address.path(); !path.empty() && path.front() == '/') {
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
    }
  }

  std::map<std::string, Known, std::less<>> commands;
  StreamServer server;

  void talk(Stream& client) {
    if (server.address().family() == AF_UNIX && !may_enter(client)) return;
    StreamReader lines(client);
    std::string line;
    for (;;) {
      client.write("tendril> ");
      try {
        if (!lines.read_line(line, kLongestLine)) return;
      } catch (const std::length_error&) {
        return client.write("that line is too long\n");
      }
      const std::string_view text = without_spaces(line);
      if (text == "quit") return;
      if (!text.empty()) client.write(answer(text));
    }
  }

  std::string answer(std::string_view line) {
    const size_t name_length = line.find(' ');
    const std::string_view name = line.substr(0, name_length);
    const auto known = commands.find(name);
    if (known == commands.end()) {
      return "there is no command " + std::string(name) + "; try help\n";
    }
    const std::string_view arguments =
        name_length == line.npos ? std::string_view() : without_spaces(line.substr(name_length));
    try {
      std::string text = known->second.command(arguments);
      if (!text.empty() && text.back() != '\n') text += '\n';
      return text;
    } catch (const std::exception& error) {
      return std::string(name) + ": " + error.what() + "\n";
    }
  }

  std::string help() const {
    std::string text;
    for (const auto& [name, known] : commands) text += name + "  " + known.what_it_does + "\n";
    return text + "quit  closes this connection\n";
  }
};

Backdoor::Backdoor(const SocketAddress& address) {
  if (!is_of_this_machine(address)) {
    throw std::invalid_argument(
        "tendril: a backdoor listens on a Unix socket or on the loopback "
        "interface, not on " +
        address.to_string());
  }
  state_ = std::make_unique<State>(address);
  add_command("fibers", "the tree of spawned fibers of each thread",
              [](std::string_view) { return fiber_tree(Threads::kAll); });
  add_command("list", "all fibers, with their numbers",
              [](std::string_view) { return list_all(); });
  add_command("kill", "NUMBER: throws GreenletExit in that fiber", kill_one);
  add_command("memory", "resident memory", [](std::string_view) {
    return std::to_string(resident_memory() / 1024) + " KiB resident";
  });
  add_command("help", "this list",
              [state = state_.get()](std::string_view) { return state->help(); });
}

Backdoor::~Backdoor() = default;

void Backdoor::add_command(std::string name, std::string what_it_does, Command command) {
  if (name.empty() || name.find_first_of(" \n") != name.npos) {
    throw std::invalid_argument("tendril: the name of a command is one word");
  }
  state_->commands[std::move(name)] = {std::move(what_it_does), std::move(command)};
}

void Backdoor::start() { state_->server.start(); }
void Backdoor::stop() { state_->server.stop(); }
SocketAddress Backdoor::address() const { return state_->server.address(); }

}  // namespace tendril
