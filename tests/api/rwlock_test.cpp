#include "tendril/rwlock.hpp"

#include <mutex>
#include <shared_mutex>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("readers share, a writer excludes, nobody overtakes") {
  Clean clean;
  tendril::RWLock lock;
  Log log;
  lock.lock_shared();
  CHECK(lock.try_lock_shared());
  lock.unlock_shared();
  auto writer = tendril::spawn([&] {
    std::unique_lock guard(lock);
    log.add("write");
    tendril::yield();
  });
  auto reader = tendril::spawn([&] {
    std::shared_lock guard(lock);
    log.add("read");
  });
  tendril::yield();
  CHECK(!lock.try_lock_shared());  // behind the writer
  CHECK(log.text() == "");
  lock.unlock_shared();
  writer.join();
  reader.join();
  CHECK(log.text() == "write read");
  CHECK(lock.try_lock());
  lock.unlock();
}

TEST_CASE("a writer that gives up lets the readers behind it pass") {
  Clean clean;
  tendril::RWLock lock;
  lock.lock_shared();
  auto writer = tendril::spawn([&] { return lock.try_lock_for(1ms); });
  auto victim = tendril::spawn([&] { lock.lock(); });
  auto reader = tendril::spawn([&] {
    lock.lock_shared();
    lock.unlock_shared();
    return true;
  });
  CHECK(!writer.get());
  CHECK(!reader.ready());
  victim.kill();
  CHECK(reader.get());
  lock.unlock_shared();
}

TEST_CASE("misuse is refused") {
  Clean clean;
  tendril::RWLock lock;
  CHECK_THROWS_AS(lock.unlock(), tendril::MisuseError);
  CHECK_THROWS_AS(lock.unlock_shared(), tendril::MisuseError);
}
