// Futexes, by the old call and the new ones.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

constexpr long kFutexWake2 = 454, kFutexWait2 = 455, kFutexRequeue2 = 456;

uint32_t* some_word(Builder& b, bool shared) {
  return (shared ? b.world.shared_words : b.world.words) + b.random.below(World::kWords);
}

// A word that all threads see, shown by its name.
long word_argument(Builder& b, bool shared, uint32_t** chosen = nullptr) {
  long bad;
  if (b.bad_pointer(&bad)) {
    // Of memory that is never written to, the Linux kernel says EFAULT unless the word is private;
    // green it is a word like others (docs/limits.md).
    if (b.name_of(bad) == "read-only") bad = b.named("or-rather-null", 0);
    return bad;
  }
  uint32_t* word = some_word(b, shared);
  if (chosen != nullptr) *chosen = word;
  const long index = word - (shared ? b.world.shared_words : b.world.words);
  long address = reinterpret_cast<long>(word);
  if (b.random.chance(b.wild / 4)) {
    address += 2;
    return b.named("misaligned", address);
  }
  const std::string name = (shared ? "shared" : "word") + std::to_string(index);
  return b.named(name.c_str(), address);
}

uint32_t value_at(Builder& b, uint32_t* word) {
  if (word == nullptr || b.random.chance(15)) return 77;
  return *word;
}

// Absolute, or none.
long absolute_limit(Builder& b, clockid_t clock) {
  if (b.random.chance(55)) return b.null();
  timespec value;
  clock_gettime(clock, &value);
  const unsigned which = b.random.below(10);
  const char* text;
  if (b.is_wild()) {
    value = b.random.one_of(std::vector<timespec>{{-1, 0}, {0, -1}, {0, 1000000000}});
    text = "{wrong}";
  } else if (which < 3) {
    value = {1, 0};
    text = "{past}";
    b.call.ends_by_itself = true;
  } else if (which < 7) {
    value.tv_nsec += 2000000;
    if (value.tv_nsec >= 1000000000) {
      value.tv_nsec -= 1000000000;
      ++value.tv_sec;
    }
    text = "{soon}";
    b.call.ends_by_itself = true;
  } else {
    value.tv_sec += 100;
    text = "{late}";
  }
  const long at = b.structure(value, Shown::kNever);
  b.call.text += text;
  return at;
}

long flag_of(Builder& b, bool shared) {
  long flag = shared ? 0 : b.random.chance(70) ? FUTEX_PRIVATE_FLAG : 0;
  if (b.is_wild())
    flag ^= b.random.one_of(
        std::vector<long>{FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME, 0x200, 1 << 20});
  return flag;
}

// The arguments of futex depend on its operation: one row for each, built as a whole.
CallSpec futex(const char* name, long operation, unsigned weight,
               std::function<void(Builder&, bool shared, long* rest)> build) {
  return {name,
          SYS_futex,
          kFutexFamily,
          weight,
          {},
          [=](Builder& b) {
            const bool shared = b.random.chance(15);
            uint32_t* word = nullptr;
            long* a = b.call.arguments;
            a[0] = word_argument(b, shared, &word);
            a[1] = b.number(operation | flag_of(b, shared));
            b.last_chunk = reinterpret_cast<uint8_t*>(word);
            build(b, shared, a + 2);
          },
          nullptr};
}

void build_wait(Builder& b, bool, long* rest) {
  rest[0] = b.number(value_at(b, reinterpret_cast<uint32_t*>(b.last_chunk)));
  rest[1] = b.timespec_relative();
  rest[2] = rest[3] = 0;
}

void build_wait_bitset(Builder& b, bool, long* rest) {
  rest[0] = b.number(value_at(b, reinterpret_cast<uint32_t*>(b.last_chunk)));
  const bool real = b.random.chance(30);
  if (real) b.call.arguments[1] |= FUTEX_CLOCK_REALTIME;
  rest[1] = absolute_limit(b, real ? CLOCK_REALTIME : CLOCK_MONOTONIC);
  rest[2] = 0;
  rest[3] = b.one_of({-1, 1, 2, 3, 0});
}

void build_wake(Builder& b, bool, long* rest) {
  rest[0] = b.one_of({1, 1, 2, INT_MAX, 0, -1});
  rest[1] = rest[2] = 0;
  rest[3] = b.one_of({-1, 1, 2, 3, 0});
}

void build_requeue(Builder& b, bool shared, long* rest) {
  auto* word = reinterpret_cast<uint32_t*>(b.last_chunk);
  rest[0] = b.one_of({0, 1, 1, 2, INT_MAX, -1});
  rest[1] = b.one_of({0, 1, 1, 2, INT_MAX, -1});
  rest[2] = word_argument(b, shared);
  rest[3] = b.number(value_at(b, word));
}

void build_wake_op(Builder& b, bool shared, long* rest) {
  rest[0] = b.one_of({0, 1, 1, 2, INT_MAX});
  rest[1] = b.one_of({0, 1, 1, 2, INT_MAX});
  rest[2] = word_argument(b, shared);
  const long operation = b.random.one_of(std::vector<long>{0, 1, 2, 3, 4, 8 | 0, 8 | 1, 9, 15, 7});
  const long comparison = b.random.one_of(std::vector<long>{0, 1, 2, 3, 4, 5, 6, 15});
  rest[3] =
      b.number(operation << 28 | comparison << 24 | static_cast<long>(b.random.below(4)) << 12 |
               static_cast<long>(b.random.below(3)));
}

void build_nothing(Builder& b, bool, long* rest) {
  rest[0] = b.one_of({0, 1});
  rest[1] = rest[2] = rest[3] = 0;
}

// futex_waitv's list.
struct Waiting {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};

Argument wait_list(unsigned exactly) {
  return [=](Builder& b) {
    const unsigned count =
        exactly != 0 ? exactly : b.random.one_of(std::vector<unsigned>{1, 1, 2, 3, 0});
    std::vector<Waiting> list;
    b.call.text += b.call.text.back() == '(' ? "[(" : ", [(";
    for (unsigned i = 0; i < count; ++i) {
      const bool shared = b.random.chance(10);
      uint32_t* word = nullptr;
      Waiting each{};
      each.address = static_cast<uint64_t>(word_argument(b, shared, &word));
      each.value = static_cast<uint64_t>(b.number(value_at(b, word)));
      each.flags =
          static_cast<uint32_t>(b.is_wild() ? b.one_of({0, 1, 2, 0x10, 0xff})
                                            : b.number(shared ? 2 : 2 | FUTEX_PRIVATE_FLAG));
      if (b.random.chance(b.wild / 4)) each.reserved = 1;
      list.push_back(each);
    }
    b.call.text += ")]";
    const long at = b.pointer(list.data(), list.size() * sizeof(Waiting), Shown::kNever);
    b.last_size = count;
    return at;
  };
}

}  // namespace

const std::vector<CallSpec>& futex_calls() {
  static const std::vector<CallSpec> calls = {
      futex("futex.WAIT", FUTEX_WAIT, 10, build_wait),
      futex("futex.WAKE", FUTEX_WAKE, 8, build_wake),
      futex("futex.WAIT_BITSET", FUTEX_WAIT_BITSET, 7, build_wait_bitset),
      futex("futex.WAKE_BITSET", FUTEX_WAKE_BITSET, 4, build_wake),
      futex("futex.REQUEUE", FUTEX_REQUEUE, 4, build_requeue),
      futex("futex.CMP_REQUEUE", FUTEX_CMP_REQUEUE, 5, build_requeue),
      futex("futex.WAKE_OP", FUTEX_WAKE_OP, 6, build_wake_op),
      futex("futex.FD", FUTEX_FD, 1, build_nothing),
      futex("futex.14", 14, 1, build_nothing),
      futex("futex.127", 127, 1, build_nothing),
      {"futex_waitv",
       SYS_futex_waitv,
       kFutexFamily,
       4,
       {wait_list(0),
        [](Builder& b) {
          return b.is_wild() ? b.one_of({0, 129, -1}) : b.number(static_cast<long>(b.last_size));
        },
        [](Builder& b) {
          return b.is_wild() ? b.one_of({1, -1}) : b.number(0);
        },
        [](Builder& b) { return absolute_limit(b, CLOCK_MONOTONIC); },
        [](Builder& b) {
          return b.is_wild() ? b.one_of({2, 7, -1, 99}) : b.number(CLOCK_MONOTONIC);
        }},
       {},
       nullptr},
      {"futex_wake",
       kFutexWake2,
       kFutexFamily,
       3,
       {[](Builder& b) { return word_argument(b, false); },
        one_of({-1, 1, 2, 0, 0xffffffff, 0xffffffff, 0xffffffff}), one_of({0, 1, 2, INT_MAX, -1}),
        one_of({2 | 128, 2 | 128, 2, 0, 1, 0xff})},
       {},
       nullptr},
      {"futex_wait",
       kFutexWait2,
       kFutexFamily,
       4,
       {},
       [](Builder& b) {
         uint32_t* word = nullptr;
         long* a = b.call.arguments;
         a[0] = word_argument(b, false, &word);
         a[1] = b.number(value_at(b, word));
         a[2] = b.one_of({0xffffffff, 0xffffffff, 1, 2, 0, -1});
         a[3] = b.one_of({2 | 128, 2 | 128, 2 | 128, 2, 0, 0xff});
         a[4] = absolute_limit(b, CLOCK_MONOTONIC);
         a[5] = b.is_wild() ? b.one_of({2, 99}) : b.number(CLOCK_MONOTONIC);
       },
       nullptr},
      {"futex_requeue",
       kFutexRequeue2,
       kFutexFamily,
       3,
       {wait_list(2),
        [](Builder& b) {
          return b.is_wild() ? b.one_of({1, -1}) : b.number(0);
        },
        one_of({0, 1, INT_MAX, -1}), one_of({0, 1, INT_MAX, -1})},
       {},
       nullptr},
  };
  return calls;
}

}  // namespace differential
