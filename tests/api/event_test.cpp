#include "tendril/event.hpp"

#include <thread>
#include <vector>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("set wakes all in the order of their arrival") {
  Clean clean;
  tendril::Event event;
  Log log;
  std::vector<tendril::Fiber<>> fibers;
  for (int i = 0; i < 4; ++i) {
    fibers.push_back(tendril::spawn([&log, &event, i] {
      CHECK(event.wait());
      log.add(std::to_string(i));
    }));
  }
  tendril::yield();
  CHECK(log.text() == "");
  event.set();
  event.clear();  // they are awake all the same
  for (auto& fiber : fibers) fiber.join();
  CHECK(log.text() == "0 1 2 3");
  CHECK(!event.is_set());
}

TEST_CASE("a set event does not make wait, a timeout ends it") {
  Clean clean;
  tendril::Event event;
  CHECK(!event.wait(0ms));
  CHECK(!event.wait(1ms));
  event.set();
  CHECK(event.wait());
  CHECK(event.wait(0ms));
}

TEST_CASE("a wait that timed out is not woken later, others are") {
  Clean clean;
  tendril::Event event;
  auto impatient = tendril::spawn([&] { return event.wait(1ms); });
  auto patient = tendril::spawn([&] { return event.wait(); });
  CHECK(!impatient.get());
  event.set();
  CHECK(patient.get());
}

TEST_CASE("a killed waiter leaves the queue") {
  Clean clean;
  tendril::Event event;
  auto victim = tendril::spawn([&] { event.wait(); });
  auto other = tendril::spawn([&] { return event.wait(); });
  tendril::yield();
  victim.kill();
  event.set();
  CHECK(other.get());
}

TEST_CASE("set from another OS thread, and the event dies right after wait") {
  Clean clean;
  for (int round = 0; round < 200; ++round) {
    auto event = std::make_unique<tendril::Event>();
    std::thread thread([e = event.get()] { e->set(); });
    event->wait();
    event.reset();
    thread.join();
  }
}
