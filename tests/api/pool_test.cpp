#include "tendril/pool.hpp"

#include <algorithm>
#include <stdexcept>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("a group knows its members until they end") {
  Clean clean;
  tendril::Group group;
  CHECK(group.join());
  auto a = group.spawn([] { tendril::sleep(1ms); });
  auto b = group.spawn([] { tendril::sleep(2ms); });
  CHECK(group.size() == 2);
  CHECK(group.contains(a));
  CHECK(!group.join(0ms));
  CHECK(group.join());
  CHECK(group.size() == 0);
  auto c = group.spawn([] { tendril::sleep(1h); });
  auto kept = group.spawn([] { tendril::sleep(1h); });
  group.discard(kept);
  CHECK(group.kill());
  CHECK(c.ready());
  CHECK(!kept.ready());
  kept.kill();
  auto bad = group.spawn([] { throw std::logic_error("bad"); });
  CHECK_THROWS_AS(group.join_or_throw(), std::logic_error);
  CHECK(group.join());
}

TEST_CASE("map, apply and imap keep the order, imap_unordered does not") {
  Clean clean;
  tendril::Group group;
  const std::vector<int> delays{3, 1, 2};
  const auto work = [](int ms) {
    tendril::sleep(std::chrono::milliseconds(2 * ms));
    return ms;
  };
  CHECK(group.map(work, delays) == delays);
  CHECK(group.map_async(work, delays).get() == delays);
  CHECK(group.apply(work, 1) == 1);
  std::vector<int> got;
  for (int value : group.imap(work, delays)) got.push_back(value);
  CHECK(got == delays);
  got.clear();
  for (int value : group.imap_unordered(work, delays)) got.push_back(value);
  CHECK(got == std::vector<int>{1, 2, 3});
  group.join();
}

TEST_CASE("imap looks ahead no further than asked") {
  Clean clean;
  tendril::Pool pool(10);
  int begun = 0;
  auto values = pool.imap([&](int n) { return ++begun, n; }, std::vector<int>{1, 2, 3, 4, 5}, 2);
  for (int i = 0; i < 10; ++i) tendril::yield();
  CHECK(begun == 2);
  CHECK(*values.next() == 1);
  for (int i = 0; i < 10; ++i) tendril::yield();
  CHECK(begun == 3);
  int rest = 0;
  for (int value : values) rest += value;
  CHECK(rest == 14);
  pool.join();
}

TEST_CASE("exceptions are carried, iteration goes on after one") {
  Clean clean;
  tendril::Pool pool(2);
  const auto odd = [](int n) {
    if (n % 2 == 0) throw std::domain_error(std::to_string(n));
    return n;
  };
  const std::vector<int> items{1, 2, 3};
  CHECK_THROWS_WITH_AS(pool.map(odd, items), "2", std::domain_error);
  auto values = pool.imap(odd, items);
  CHECK(*values.next() == 1);
  CHECK_THROWS_AS(values.next(), std::domain_error);
  CHECK(*values.next() == 3);
  CHECK(!values.next());
  CHECK_THROWS_AS(pool.apply(odd, 4), std::domain_error);
  pool.join();
}

TEST_CASE("an imap that is given up takes no more items") {
  Clean clean;
  tendril::Pool pool(1);
  int begun = 0;
  {
    auto values = pool.imap([&](int n) { return ++begun, n; }, std::vector<int>(100), 1);
    values.next();
  }
  pool.join();
  tendril::yield();
  CHECK(begun <= 3);
}

TEST_CASE("a pool bounds how many run; spawn waits") {
  Clean clean;
  tendril::Pool pool(2);
  int running = 0;
  int most = 0;
  for (int i = 0; i < 6; ++i) {
    pool.spawn([&] {
      most = std::max(most, ++running);
      tendril::yield();
      --running;
    });
  }
  CHECK(pool.join());
  CHECK(most == 2);
  CHECK(pool.free_count() == 2);
  for (int i = 0; i < 2; ++i) pool.spawn([] { tendril::sleep(1h); });
  CHECK(pool.full());
  CHECK(!pool.wait_available(1ms));
  CHECK(!tendril::try_within(1ms, [&] { pool.spawn([] {}); }));
  pool.kill();
  CHECK(pool.wait_available(0ms));
  CHECK(pool.free_count() == 2);
}
