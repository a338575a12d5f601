#include "tendril/signal.hpp"

#include <signal.h>
#include <unistd.h>

#include "io_tests.hpp"

using tendril::SignalSet;
using namespace std::chrono_literals;

TEST_CASE("a fiber waits for signals") {
  { SignalSet warm({SIGUSR1}); }  // what it waits on is kept for later ones
  CleanIo clean;
  SignalSet signals({SIGUSR1, SIGUSR2});
  CHECK(!signals.wait(1ms));
  auto waiter = tendril::spawn([&] { return signals.wait(); });
  tendril::yield();
  kill(getpid(), SIGUSR2);
  CHECK(waiter.get() == SIGUSR2);
  raise(SIGUSR1);
  CHECK(signals.wait(1s) == SIGUSR1);
  CHECK(!signals.wait(0ms));
}

TEST_CASE("each of several gets it; the former action comes back") {
  {
    SignalSet warm({SIGUSR1});
    SignalSet up({SIGUSR1});
  }
  CleanIo clean;
  struct sigaction before;
  sigaction(SIGUSR1, nullptr, &before);
  {
    SignalSet a({SIGUSR1});
    SignalSet b({SIGUSR1});
    raise(SIGUSR1);
    CHECK(a.wait(1s) == SIGUSR1);
    CHECK(b.wait(1s) == SIGUSR1);
  }
  struct sigaction after;
  sigaction(SIGUSR1, nullptr, &after);
  CHECK((after.sa_handler == before.sa_handler));
}

TEST_CASE("a handler is a fiber: it may wait") {
  CleanIo clean;
  int calls = 0;
  tendril::Event twice;
  {
    auto handler = tendril::on_signal(SIGUSR1, [&] {
      tendril::sleep(1ms);
      if (++calls == 2) twice.set();
    });
    raise(SIGUSR1);
    while (calls == 0) tendril::sleep(1ms);
    raise(SIGUSR1);
    CHECK(twice.wait(10s));
  }
  tendril::yield();
  tendril::yield();
}

TEST_CASE("kill ends the wait; signals that cannot be caught are refused") {
  CleanIo clean;
  SignalSet signals({SIGUSR1});
  auto waiter = tendril::spawn([&] { signals.wait(); });
  tendril::yield();
  waiter.kill();
  CHECK(waiter.ready());
  CHECK(error_of([] { SignalSet impossible({SIGUSR2, SIGKILL}); }) == EINVAL);
  CHECK(error_of([] { SignalSet impossible({99}); }) == EINVAL);
  struct sigaction action;
  sigaction(SIGUSR2, nullptr, &action);
  CHECK((action.sa_handler == SIG_DFL));
}
