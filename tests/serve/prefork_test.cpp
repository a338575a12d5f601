#include "tendril/prefork.hpp"

#include <signal.h>

#include <set>

#include "http_client.hpp"
#include "tendril/subprocess.hpp"
#include "tests/io/io_tests.hpp"

using tendril::SocketAddress;
using namespace std::chrono_literals;

namespace {

// prefork_master, in a process of its own.
class MasterProcess {
 public:
  MasterProcess() : process_({PREFORK_MASTER, std::to_string(port_)}) {}
  ~MasterProcess() { process_.terminate(), process_.wait(20s); }
  void signal(int number) { process_.send_signal(number); }
  tendril::ExitStatus stop() {
    process_.terminate();
    return process_.wait(20s);
  }
  uint16_t port() const { return port_; }

 private:
  const uint16_t port_ = tendril::Listener(SocketAddress::loopback(0)).port();
  tendril::Subprocess process_;
};

struct Worker {
  pid_t pid = 0;
  int number = -1;
  int generation = 0;
  friend auto operator<=>(const Worker&, const Worker&) = default;
};

// Not answered: the listener does not exist yet.
Worker ask(MasterProcess& master, const std::string& target = "/") {
  for (int tries = 0; tries < 1000; ++tries) {
    try {
      RawClient client(master.port());
      client.say(get(target));
      const std::string answer = client.answer();
      Worker worker;
      if (sscanf(answer.c_str(), "200 %d %d %d", &worker.pid, &worker.number, &worker.generation) ==
          3) {
        return worker;
      }
      return {};
    } catch (const std::system_error&) {
      tendril::sleep(10ms);
    }
  }
  FAIL("nobody answers");
  return {};
}

// The workers that answer, once there are two.
std::set<Worker> both(MasterProcess& master) {
  std::set<Worker> all;
  for (int tries = 0; tries < 1000 && all.size() < 2; ++tries) all.insert(ask(master));
  return all;
}

}  // namespace

TEST_CASE("workers serve one port; the dead are replaced; SIGTERM ends all") {
  MasterProcess master;
  const std::set<Worker> first = both(master);
  CHECK(first.size() == 2);
  ask(master, "/die");
  for (int tries = 0;; ++tries) {
    REQUIRE(tries < 1000);
    const std::set<Worker> now = both(master);
    std::set<int> numbers;
    bool fresh = false;
    for (const Worker& worker : now) {
      numbers.insert(worker.number);
      fresh = fresh || !first.contains(worker);
    }
    if (fresh && numbers.size() == 2) break;
  }
  CHECK(master.stop().success());
  for (const Worker& worker : first) CHECK(kill(worker.pid, 0) == -1);
}

TEST_CASE("SIGHUP: new workers, no request refused or lost, who is served is served to the end") {
  MasterProcess master;
  const std::set<Worker> first = both(master);
  auto slow = tendril::spawn([&] { return ask(master, "/slow"); });
  tendril::sleep(20ms);
  master.signal(SIGHUP);
  for (int tries = 0;; ++tries) {
    REQUIRE(tries < 2000);
    const Worker worker = ask(master);
    REQUIRE(worker.pid != 0);
    if (worker.generation == 2) break;
  }
  CHECK(slow.get().pid != 0);
  for (const Worker& old : first) {
    for (int tries = 0; kill(old.pid, 0) == 0; ++tries) {
      REQUIRE(tries < 2000);
      tendril::sleep(10ms);
    }
  }
  for (const Worker& worker : both(master)) CHECK(worker.generation == 2);
  CHECK(master.stop().success());
}

TEST_CASE("not from where fibers run already") {
  tendril::yield();
  CHECK_THROWS_AS(tendril::run_prefork({.address = SocketAddress::loopback(0)}, {}),
                  tendril::MisuseError);
}
