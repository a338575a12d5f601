// A fiber that is shielded waits on when it is killed: but if what it waits for comes between the
// kill and its next turn, nothing may be lost.
#include <functional>

#include "clean.hpp"
#include "tendril/barrier.hpp"
#include "tendril/condition.hpp"
#include "tendril/event.hpp"
#include "tendril/hub.hpp"
#include "tendril/mutex.hpp"
#include "tendril/queue.hpp"
#include "tendril/rwlock.hpp"
#include "tendril/semaphore.hpp"

using namespace std::chrono_literals;

namespace {

// A Condition takes its lock again shielded, whatever that is.
struct LockThatWaits {
  std::function<void()> wait;
  void lock() { wait(); }
  void unlock() {}
};

// Yields until the fiber waits, for the condition or for something else.
void until_it_waits(const tendril::FiberHandle& fiber, const void* condition, bool for_it) {
  for (;;) {
    for (const tendril::FiberInfo& info : tendril::list_fibers()) {
      if (info.fiber == fiber && *info.waits_for != '\0' && (info.object == condition) == for_it) {
        return;
      }
    }
    tendril::yield();
  }
}

// Whether `wait` ends when let_go() comes right after a kill that does not end it.
bool goes_on(
    std::function<void()> wait, const std::function<void()>& let_go,
    const std::function<void()>& before_the_kill = [] {}) {
  LockThatWaits lock{std::move(wait)};
  tendril::Condition changed;
  bool killed = false;
  auto fiber = tendril::spawn([&] {
    try {
      changed.wait(lock);
      tendril::sleep(20s);  // where the kill arrives
    } catch (const tendril::GreenletExit&) {
      killed = true;
    }
  });
  until_it_waits(fiber, &changed, true);
  changed.notify_one();
  until_it_waits(fiber, &changed, false);
  before_the_kill();
  fiber.kill_soon();
  let_go();
  const bool ended = fiber.join(5s);
  if (!ended) fiber.kill();  // would wait for ever: say so by the failed check only
  return ended && killed;
}

}  // namespace

TEST_CASE("a wait that is disturbed finds what came meanwhile: locks") {
  Clean clean;
  tendril::Mutex mutex;
  mutex.lock();
  CHECK(goes_on([&] { mutex.lock(), mutex.unlock(); }, [&] { mutex.unlock(); }));
  tendril::Semaphore semaphore(0);
  CHECK(goes_on([&] { semaphore.acquire(); }, [&] { semaphore.release(); }));
  tendril::RWLock lock;
  lock.lock();
  CHECK(goes_on([&] { lock.lock_shared(), lock.unlock_shared(); }, [&] { lock.unlock(); }));
  lock.lock_shared();
  CHECK(goes_on([&] { lock.lock(), lock.unlock(); }, [&] { lock.unlock_shared(); }));
}

TEST_CASE("the same: events, queues and meeting points") {
  Clean clean;
  tendril::Event event;
  CHECK(goes_on([&] { event.wait(); }, [&] { event.set(); }));
  tendril::Queue<int> queue(1);
  CHECK(goes_on([&] { CHECK(queue.get() == 1); }, [&] { queue.put(1); }));
  queue.put(2);
  CHECK(goes_on([&] { queue.put(3); }, [&] { CHECK(queue.get() == 2); }));
  CHECK(queue.get() == 3);
  tendril::JoinableQueue<int> work;
  work.put(1);
  CHECK(goes_on([&] { work.join(); }, [&] { work.task_done(); }));
  tendril::Latch latch(1);
  CHECK(goes_on([&] { latch.wait(); }, [&] { latch.count_down(); }));
  tendril::Barrier barrier(2);
  CHECK(goes_on([&] { barrier.arrive_and_wait(); }, [&] { CHECK(barrier.arrive_and_wait(5s)); }));
  tendril::Condition condition;
  LockThatWaits nothing{[] {}};
  CHECK(goes_on([&] { condition.wait(nothing); }, [&] { condition.notify_one(); }));
}

TEST_CASE("the same: the end of a fiber") {
  Clean clean;
  tendril::Event event;
  auto other = tendril::spawn([&] { event.wait(); });
  CHECK(goes_on([&] { other.join(); }, [] {}, [&] { event.set(); }));
}
