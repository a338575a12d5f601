// A console into a running program: who connects to it, by `nc` or `socat`, sees its fibers and may
// end one. Link tendril::serve. (gevent: backdoor.BackdoorServer)
//
//   Backdoor backdoor(SocketAddress::local("/run/me/backdoor"));
//   backdoor.start();
//
//   $ socat - UNIX-CONNECT:/run/me/backdoor
//   tendril> fibers
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tendril/address.hpp"
#include "tendril/time.hpp"

namespace tendril {

// Answers in fibers of the OS thread that made it, and shows those of all threads. Commands:
//
//   fibers       the spawned fibers of each thread, as a tree of who spawned whom, with what each
//                waits for (fiber_tree)
//   list         all fibers, one a line, with their numbers
//   kill NUMBER  throws GreenletExit in the fiber of that number
//   memory       resident memory
//   help, quit
//
// Whoever can connect may do all that. A Unix socket is made with mode 0600, and only processes of
// the same user or of root are let in; a TCP port is open to every user of the machine.
class Backdoor {
 public:
  // What the rest of the line was is given to it; what it returns, or throws, is the answer.
  using Command = std::function<std::string(std::string_view arguments)>;

  // Listens at once, answers from start() on. Throws std::invalid_argument unless the address is a
  // Unix socket or on the loopback interface; std::system_error.
  explicit Backdoor(const SocketAddress& address);
  ~Backdoor();  // as stop()
  Backdoor(const Backdoor&) = delete;
  Backdoor& operator=(const Backdoor&) = delete;

  // A command of the program's own, one word; replaces one of that name. Before start().
  void add_command(std::string name, std::string what_it_does, Command command);

  void start();
  void stop();  // cuts off who is connected; again is harmless
  SocketAddress address() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tendril
