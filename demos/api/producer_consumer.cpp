// Three producers and two consumers with a short queue between them. It holds four items: producers
// that are faster than the consumers wait in put(), and nothing piles up.
//
// It is shut down twice: in order, when all has been produced, so that the consumers finish what is
// left; and at once, when nobody wants the rest.
#include <tendril/tendril.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace std::chrono_literals;
using Numbers = tendril::Queue<int>;

constexpr int kProducers = 3;
constexpr int kConsumers = 2;
constexpr int kEach = 100;
constexpr size_t kPlaces = 4;

// Producer n makes n, n + 3, n + 6…: together every number once.
void produce(Numbers& numbers, int first, size_t& longest) {
  for (int i = 0; i < kEach; ++i) {
    numbers.put(first + i * kProducers);  // waits while the queue is full
    longest = std::max(longest, numbers.size());
  }
}

void consume(Numbers& numbers, std::vector<int>& mine) {
  for (const int number : numbers) {  // until it is shut down and empty
    mine.push_back(number);
    tendril::sleep(100us);  // the work
  }
}

void in_order() {
  Numbers numbers(kPlaces);
  size_t longest = 0;
  std::vector<std::vector<int>> eaten(kConsumers);
  {
    tendril::Scope consumers;
    for (auto& mine : eaten) consumers.spawn([&] { consume(numbers, mine); });
    {
      tendril::Scope producers;
      for (int n = 0; n < kProducers; ++n) {
        producers.spawn([&, n] { produce(numbers, n, longest); });
      }
    }  // all have produced what they had to
    numbers.shutdown();
  }  // all is consumed

  std::vector<int> all;
  bool all_had_work = true;
  for (const auto& mine : eaten) {
    all.insert(all.end(), mine.begin(), mine.end());
    all_had_work = all_had_work && !mine.empty();
  }
  std::sort(all.begin(), all.end());
  bool each_once = all.size() == kProducers * kEach;
  for (size_t i = 0; i < all.size(); ++i) each_once = each_once && all[i] == static_cast<int>(i);
  std::printf("%zu consumed, %s, by %d consumers%s\n", all.size(),
              each_once ? "each once" : "NOT each once", kConsumers,
              all_had_work ? "" : ", of which one had NOTHING to do");
  std::printf("at most %zu waited in the queue\n", longest);
  try {
    numbers.put(0);
  } catch (const tendril::ShutDown&) {
    std::puts("after the shutdown: refused");
  }
}

void at_once() {
  Numbers numbers(kPlaces);
  int refused = 0;
  tendril::Scope producers;
  for (int n = 0; n < kProducers; ++n) {
    producers.spawn([&, n] {
      size_t longest = 0;
      try {
        produce(numbers, n, longest);
      } catch (const tendril::ShutDown&) {
        ++refused;
      }
    });
  }
  const int first = numbers.get();
  tendril::yield();  // by now the queue is full again and all producers wait
  const size_t dropped = numbers.size();
  numbers.shutdown(true);
  producers.join();
  std::printf("one was enough: %d; %zu dropped, %d producers sent home\n", first, dropped, refused);
}

int main() {
  in_order();
  at_once();
}
