#include "runtime/hub/poller.hpp"
#include "runtime/hub/hidden_descriptors.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <thread>

#include "on_worker.hpp"

namespace {

struct Pipe {
  int ends[2];
  Pipe() { REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0); }
  ~Pipe() {
    for (const int fd : ends) {
      if (fd >= 0) {
        rt::current_worker()->poller->forget(fd);
        ::close(fd);
      }
    }
  }
  void put() const { CHECK(write(ends[1], "x", 1) == 1); }
  bool take() const {
    char c;
    return read(ends[0], &c, 1) == 1;
  }
};

rt::WakeReason wait_readable(int fd, rt::Nanoseconds timeout) {
  rt::Poller* poller = rt::current_worker()->poller;
  rt::FdState* state = poller->state(fd);
  const uint32_t generation = state->generation;
  const uint32_t seen = rt::Poller::edges(*state, rt::Direction::kRead);
  return poller->wait(fd, *state, generation, rt::Direction::kRead, seen,
                      timeout == rt::kForever ? rt::kForever : rt::deadline_after(timeout));
}

// A worker is released without timers.
void let_looks_end(const OnWorker& here) {
  while (here.worker()->timers.size() != 0) rt::sleep_until(rt::deadline_after(1'000'000));
}

}  // namespace

// The poller maps the memory of these and makes nothing of it.
TEST_CASE("the state of a descriptor is nothing but zeros at first") {
  alignas(rt::FdState) unsigned char bytes[sizeof(rt::FdState)] = {};
  const auto* state = new (bytes) rt::FdState;
  CHECK(state->edges[0] == 0);
  CHECK(std::all_of(std::begin(bytes), std::end(bytes), [](unsigned char b) { return b == 0; }));
}

TEST_CASE("an edge wakes one reader; the next one when it passes on") {
  OnWorker here;
  Pipe pipe;
  int woken = 0;
  auto reader = [&] {
    while (!pipe.take()) wait_readable(pipe.ends[0], rt::kForever);
    ++woken;
    rt::current_worker()->poller->pass_on(*rt::current_worker()->poller->state(pipe.ends[0]),
                                          rt::Direction::kRead);
  };
  start(reader);
  start(reader);
  // How many turns that takes is the scheduler's business: after a long row of woken fibers it lets
  // one that yielded go first.
  while (here.worker()->poller->waiters() < 2) rt::yield();
  pipe.put();
  while (woken < 1) rt::sleep_until(rt::deadline_after(100'000));
  rt::sleep_until(rt::deadline_after(1'000'000));
  CHECK(woken == 1);
  pipe.put();
  while (woken < 2) rt::sleep_until(rt::deadline_after(100'000));
  CHECK(here.worker()->poller->waiters() == 0);
}

TEST_CASE("an edge after `seen` ends the wait at once; a deadline ends it too") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(pipe.ends[0]);
  CHECK(wait_readable(pipe.ends[0], 1'000'000) == rt::WakeReason::kTimeout);
  const uint32_t seen = rt::Poller::edges(*state, rt::Direction::kRead);
  pipe.put();
  while (rt::Poller::edges(*state, rt::Direction::kRead) == seen) {
    rt::sleep_until(rt::deadline_after(100'000));
  }
  CHECK(poller->wait(pipe.ends[0], *state, state->generation, rt::Direction::kRead, seen,
                     rt::kForever) == rt::WakeReason::kWoken);
}

TEST_CASE("forgetting a descriptor wakes its waiters, and a stale generation never waits") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  rt::WakeReason reason = rt::WakeReason::kNone;
  auto reader = [&] { reason = wait_readable(pipe.ends[0], rt::kForever); };
  const uint32_t generation = poller->state(pipe.ends[0])->generation;
  start(reader);
  while (poller->waiters() == 0) rt::yield();
  poller->forget(pipe.ends[0]);
  while (reason == rt::WakeReason::kNone) rt::yield();
  CHECK(reason == rt::WakeReason::kClosed);
  rt::FdState* state = poller->state(pipe.ends[0]);
  CHECK(poller->wait(pipe.ends[0], *state, generation, rt::Direction::kRead,
                     rt::Poller::edges(*state, rt::Direction::kRead),
                     rt::kForever) == rt::WakeReason::kClosed);
}

namespace {

// The hub wakes for edges that nobody waits for, until it has had enough of them.
void let_edges_come_in_vain(const Pipe& pipe) {
  const rt::FdState* state = rt::current_worker()->poller->state(pipe.ends[0]);
  REQUIRE(wait_readable(pipe.ends[0], 1'000'000) == rt::WakeReason::kTimeout);
  REQUIRE(bool{state->armed});
  for (int i = 0; i < 4; ++i) {
    CHECK(state->on_demand == rt::FdState::kNever);
    pipe.put();
    rt::sleep_until(rt::deadline_after(1'000'000));
    CHECK(pipe.take());
  }
  REQUIRE(state->on_demand != rt::FdState::kNever);
  REQUIRE(!state->armed);
}

}  // namespace

TEST_CASE("a descriptor that told edges in vain is armed by each wait, for some waits") {
  OnWorker here;
  Pipe pipe;
  let_edges_come_in_vain(pipe);
  rt::FdState* state = here.worker()->poller->state(pipe.ends[0]);
  const uint32_t seen = rt::Poller::edges(*state, rt::Direction::kRead);
  rt::Poller::note_drained(*state, rt::Direction::kRead, seen);
  CHECK(!rt::Poller::is_drained(*state, rt::Direction::kRead));  // edges are not counted
  pipe.put();
  rt::sleep_until(rt::deadline_after(1'000'000));
  CHECK(rt::Poller::edges(*state, rt::Direction::kRead) == seen);
  CHECK(wait_readable(pipe.ends[0], rt::kForever) == rt::WakeReason::kWoken);  // what had come
  CHECK(pipe.take());
  auto reader = [&] { wait_readable(pipe.ends[0], rt::kForever); };
  int waits = 1;
  for (; state->on_demand != rt::FdState::kNever && waits < 1000; ++waits) {
    start(reader);
    while (here.worker()->poller->waiters() == 0) rt::yield();
    pipe.put();  // and what comes while one waits
    while (here.worker()->poller->waiters() != 0) rt::sleep_until(rt::deadline_after(100'000));
    CHECK(pipe.take());
  }
  CHECK(waits > 10);
  CHECK(waits < 1000);
  CHECK(bool{state->armed});
  let_edges_come_in_vain(pipe);
}

TEST_CASE("where several wait for one that is armed by each wait, each hears of its edge") {
  OnWorker here;
  Pipe pipe;
  let_edges_come_in_vain(pipe);
  int woken = 0;
  auto reader = [&] {
    while (!pipe.take()) wait_readable(pipe.ends[0], rt::kForever);
    ++woken;
  };
  start(reader);
  start(reader);
  while (here.worker()->poller->waiters() < 2) rt::yield();
  for (int i = 1; i <= 2; ++i) {
    pipe.put();
    while (woken < i) rt::sleep_until(rt::deadline_after(100'000));
  }
}

TEST_CASE("who waits to write hears of it though reads are waited for on demand") {
  OnWorker here;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(ends[0]);
  char bytes[4096] = {};
  REQUIRE(wait_readable(ends[0], 1'000'000) == rt::WakeReason::kTimeout);
  while (state->on_demand == rt::FdState::kNever) {
    REQUIRE(write(ends[1], bytes, 1) == 1);
    rt::sleep_until(rt::deadline_after(1'000'000));
    REQUIRE(read(ends[0], bytes, 1) == 1);
  }
  while (write(ends[0], bytes, sizeof bytes) > 0) {
  }
  bool read_ended = false;
  auto reader = [&] {
    read_ended = wait_readable(ends[0], rt::kForever) == rt::WakeReason::kWoken;
  };
  start(reader);
  while (poller->waiters() == 0) rt::yield();
  bool write_ended = false;
  auto writer = [&] {
    write_ended = poller->wait(ends[0], *state, state->generation, rt::Direction::kWrite,
                               rt::Poller::edges(*state, rt::Direction::kWrite),
                               rt::kForever) == rt::WakeReason::kWoken;
  };
  start(writer);
  while (poller->waiters() < 2) rt::yield();
  while (read(ends[1], bytes, sizeof bytes) > 0) {
  }
  while (!write_ended) rt::sleep_until(rt::deadline_after(100'000));
  CHECK(!read_ended);
  REQUIRE(write(ends[1], bytes, 1) == 1);
  while (!read_ended) rt::sleep_until(rt::deadline_after(100'000));
  for (const int fd : ends) {
    poller->forget(fd);
    ::close(fd);
  }
}

TEST_CASE("pollers hear of the events they asked for, all of them") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  int woken = 0;
  auto body = [&] {
    rt::FdState* state = poller->state(pipe.ends[0]);
    rt::PollWaiter waiter;
    waiter.events = EPOLLIN;
    waiter.token = rt::begin_wait(rt::WaitKind::kPoll, nullptr);
    REQUIRE(poller->add_poller(pipe.ends[0], *state, waiter));
    if (rt::park(rt::kForever) == rt::WakeReason::kWoken) ++woken;
    poller->end_poll(pipe.ends[0], *state, waiter);
  };
  start(body);
  start(body);
  while (poller->waiters() < 2) rt::yield();
  pipe.put();
  while (woken < 2) rt::sleep_until(rt::deadline_after(100'000));
}

TEST_CASE("what is watched on demand tells no edge while nobody waits, and loses none") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(pipe.ends[0]);
  poller->watch_on_demand(*state, state->generation);
  int taken = 0;
  auto reader = [&] {
    while (!pipe.take()) wait_readable(pipe.ends[0], rt::kForever);
    ++taken;
    poller->pass_on(*state, rt::Direction::kRead);
  };
  start(reader);
  start(reader);
  while (poller->waiters() < 2) rt::yield();
  pipe.put();
  pipe.put();  // one edge for two: the first passes on
  while (taken < 2) rt::sleep_until(rt::deadline_after(100'000));

  const uint32_t before = rt::Poller::edges(*state, rt::Direction::kRead);
  const volatile int never = 0;
  pipe.put();
  poller->poll(&never, 0);
  CHECK(rt::Poller::edges(*state, rt::Direction::kRead) == before);
  CHECK(wait_readable(pipe.ends[0], rt::kForever) == rt::WakeReason::kWoken);
  CHECK(pipe.take());

  // A wait that ended by its deadline leaves it armed: that edge is told once, and no other.
  CHECK(wait_readable(pipe.ends[0], 1'000'000) == rt::WakeReason::kTimeout);
  const uint32_t armed = rt::Poller::edges(*state, rt::Direction::kRead);
  for (int i = 0; i < 2; ++i) {
    pipe.put();
    poller->poll(&never, 0);
  }
  CHECK(rt::Poller::edges(*state, rt::Direction::kRead) == armed + 1);
}

TEST_CASE("who polls hears what the Linux kernel said after the wait began, and of nothing else") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(pipe.ends[0]);
  uint32_t told = 0;
  auto body = [&] {
    rt::PollWaiter waiter;
    waiter.events = EPOLLIN;
    waiter.token = rt::begin_wait(rt::WaitKind::kPoll, nullptr);
    REQUIRE(poller->add_poller(pipe.ends[0], *state, waiter));
    CHECK(rt::park(rt::kForever) == rt::WakeReason::kWoken);
    poller->end_poll(pipe.ends[0], *state, waiter);
    told = waiter.told | EPOLLET;
  };
  start(body);
  while (poller->waiters() == 0) rt::yield();
  poller->nudge(pipe.ends[0]);
  while (told == 0) rt::yield();
  CHECK(told == EPOLLET);
  told = 0;
  start(body);
  while (poller->waiters() == 0) rt::yield();
  pipe.put();
  while (told == 0) rt::sleep_until(rt::deadline_after(100'000));
  CHECK(told == (EPOLLIN | EPOLLET));
}

TEST_CASE("of an edge that is told here the Linux kernel tells only if the wait has lasted") {
  OnWorker here;
  Pipe pipe;
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(pipe.ends[0]);
  const rt::FdState* writer = poller->state(pipe.ends[1]);
  poller->join_ends(pipe.ends[1], pipe.ends[0]);
  CHECK(state->told_here);
  bool taken = false;
  auto reader = [&] {
    while (!pipe.take()) wait_readable(pipe.ends[0], rt::kForever);
    taken = true;
  };
  const volatile int never = 0;
  start(reader);
  while (poller->waiters() == 0) rt::yield();
  CHECK(bool{state->unarmed});
  const uint32_t before = rt::Poller::edges(*state, rt::Direction::kRead);
  pipe.put();
  poller->poll(&never, 0);
  CHECK(rt::Poller::edges(*state, rt::Direction::kRead) == before);
  poller->tell_other_end(*writer);
  while (!taken) rt::yield();

  // Twice nobody tells, and then it is one like others.
  for (int untold = 1; untold <= 2; ++untold) {
    taken = false;
    start(reader);
    while (!state->armed) rt::sleep_until(rt::deadline_after(1'000'000));
    CHECK(state->told_here);
    pipe.put();
    while (!taken) rt::sleep_until(rt::deadline_after(100'000));
    CHECK(state->told_here == (untold < 2));
  }
  taken = false;
  start(reader);
  while (poller->waiters() == 0) rt::yield();
  CHECK(bool{state->armed});
  CHECK(!bool{state->unarmed});
  pipe.put();
  while (!taken) rt::sleep_until(rt::deadline_after(100'000));
  let_looks_end(here);
}

TEST_CASE("who is not woken by the last edge that was told here is watched from then on") {
  OnWorker here;
  rt::Poller* poller = here.worker()->poller;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  rt::FdState* state = poller->state(ends[0]);
  poller->state(ends[1]);
  poller->join_ends(ends[1], ends[0]);
  bool ended = false;
  auto waits_for_end = [&] {
    rt::PollWaiter waiter;
    waiter.events = EPOLLRDHUP;
    waiter.token = rt::begin_wait(rt::WaitKind::kPoll, nullptr);
    REQUIRE(poller->add_poller(ends[0], *state, waiter));
    CHECK(rt::park(rt::kForever) == rt::WakeReason::kWoken);
    poller->end_poll(ends[0], *state, waiter);
    ended = true;
  };
  start(waits_for_end);
  for (int untold = 0; untold < 2; ++untold) {
    while (!state->armed) rt::sleep_until(rt::deadline_after(1'000'000));
    CHECK(write(ends[1], "x", 1) == 1);
    while (state->armed && state->told_here) rt::sleep_until(rt::deadline_after(100'000));
  }
  CHECK(!state->told_here);
  CHECK(bool{state->armed});
  CHECK(!ended);
  ::close(ends[1]);
  while (!ended) rt::sleep_until(rt::deadline_after(100'000));
  poller->forget(ends[0]);
  ::close(ends[0]);
  let_looks_end(here);
}

TEST_CASE("before the other end goes, or all is shared, the Linux kernel is asked to tell") {
  OnWorker here;
  rt::Poller* poller = here.worker()->poller;
  for (const bool closes : {false, true}) {
    Pipe pipe;
    rt::FdState* state = poller->state(pipe.ends[0]);
    poller->state(pipe.ends[1]);
    poller->join_ends(pipe.ends[1], pipe.ends[0]);
    bool ended = false;
    auto reader = [&] {
      ended = wait_readable(pipe.ends[0], rt::kForever) == rt::WakeReason::kWoken;
    };
    start(reader);
    while (poller->waiters() == 0) rt::yield();
    CHECK(!bool{state->armed});
    if (closes) {
      poller->forget(pipe.ends[1]);
      CHECK(bool{state->armed});
      ::close(pipe.ends[1]);
      pipe.ends[1] = -1;
    } else {
      poller->shared_outside();
      CHECK(bool{state->armed});
      pipe.put();
    }
    CHECK(!state->told_here);
    while (!ended) rt::sleep_until(rt::deadline_after(100'000));
  }
  let_looks_end(here);
}

TEST_CASE("what cannot be polled is always ready; absurd numbers are refused") {
  OnWorker here;
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK(wait_readable(file, rt::kForever) == rt::WakeReason::kWoken);
  here.worker()->poller->forget(file);
  ::close(file);
  CHECK(here.worker()->poller->state(-1) == nullptr);
  CHECK(here.worker()->poller->state(1 << 30) == nullptr);
  CHECK(rt::is_hidden_descriptor(here.worker()->poller->epoll_fd()));
  CHECK(!rt::is_hidden_descriptor(0));
}

TEST_CASE("a short read of a TCP socket is the end of what is there until the next edge") {
  OnWorker here;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(connect(peer, reinterpret_cast<sockaddr*>(&address), size) == 0);
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);

  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(fd);
  const auto note_after = [&](uint32_t seen) {
    rt::Poller::note_short_read(fd, *state, state->generation, seen);
    return rt::Poller::is_drained(*state, rt::Direction::kRead);
  };
  const auto edges = [&] { return rt::Poller::edges(*state, rt::Direction::kRead); };
  const auto next_edge = [&](uint32_t before) {
    while (edges() == before) rt::sleep_until(rt::deadline_after(100'000));
  };
  CHECK(wait_readable(fd, 1'000'000) == rt::WakeReason::kTimeout);  // registered from here on
  uint32_t before = edges();
  CHECK(send(peer, "x", 1, 0) == 1);
  next_edge(before);
  CHECK_FALSE(note_after(before));  // the edge came in between
  CHECK(note_after(edges()));
  before = edges();
  CHECK(send(peer, "x", 1, 0) == 1);
  next_edge(before);
  CHECK_FALSE(rt::Poller::is_drained(*state, rt::Direction::kRead));
  before = edges();
  CHECK(shutdown(peer, SHUT_WR) == 0);
  next_edge(before);
  CHECK_FALSE(note_after(edges()));  // the end may be all that is left
  poller->forget(fd);
  for (const int each : {fd, peer, listener}) ::close(each);
}

TEST_CASE("a short read of another stream means nothing") {
  OnWorker here;
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  rt::Poller* poller = here.worker()->poller;
  rt::FdState* state = poller->state(pair[0]);
  rt::Poller::note_short_read(pair[0], *state, state->generation,
                              rt::Poller::edges(*state, rt::Direction::kRead));
  CHECK_FALSE(rt::Poller::is_drained(*state, rt::Direction::kRead));
  for (const int each : pair) {
    poller->forget(each);
    ::close(each);
  }
}
