// The calls that a program may make, each with how its arguments are built.
#pragma once

#include <functional>
#include <vector>

#include "builder.hpp"

namespace differential {

enum Family : unsigned {
  kIoFamily = 1 << 0,
  kSocketFamily = 1 << 1,
  kWaitFamily = 1 << 2,
  kFileFamily = 1 << 3,
  kFutexFamily = 1 << 4,
  kSignalFamily = 1 << 5,
  kTimeFamily = 1 << 6,
  kIpcFamily = 1 << 7,
  kProcessFamily = 1 << 8,
  kFamilies = 9,
};

using Argument = std::function<long(Builder&)>;

struct CallSpec {
  const char* name;
  long number;
  unsigned families;
  unsigned weight;
  std::vector<Argument> arguments;
  // Once the arguments are there: what the result means to the world.
  std::function<void(Builder&)> finish;
  long (*by_libc)(const long*);
};

// Makes things with several calls that do not wait, on the controller. Returns what to write down.
struct Maker {
  const char* name;
  unsigned families;
  std::function<std::string(World&, Random&)> make;
};

const std::vector<CallSpec>& io_calls();
const std::vector<CallSpec>& file_calls();
const std::vector<CallSpec>& socket_calls();
const std::vector<CallSpec>& wait_calls();
const std::vector<CallSpec>& futex_calls();
const std::vector<CallSpec>& signal_calls();
const std::vector<CallSpec>& time_calls();
const std::vector<CallSpec>& ipc_calls();
const std::vector<CallSpec>& process_calls();
const std::vector<Maker>& makers();

// Argument builders that all tables share.
inline Argument fd(unsigned kinds, std::optional<Way> way = {}) {
  return [=](Builder& b) { return b.fd(kinds, way); };
}
inline Argument any_fd() {
  return [](Builder& b) { return b.fd_anything(); };
}
inline Argument fd_to_close() {
  return [](Builder& b) {
    const long chosen = b.fd(kAny, {});
    b.call.closes.push_back(static_cast<int>(chosen));
    b.note_slow_close(static_cast<int>(chosen));
    return chosen;
  };
}
inline Argument out(std::vector<size_t> sizes, Shown shown = Shown::kBytes) {
  return [=](Builder& b) { return b.out(sizes, shown); };
}
inline Argument in(std::vector<size_t> sizes) {
  return [=](Builder& b) { return b.in(sizes); };
}
inline Argument size() {
  return [](Builder& b) { return b.size(); };
}
inline Argument one_of(std::vector<long> values) {
  return [=](Builder& b) { return b.one_of(values); };
}
inline Argument flags_of(std::vector<long> bits) {
  return [=](Builder& b) { return b.flags_of(bits); };
}
inline Argument constant(long value) {
  return [=](Builder& b) { return b.number(value); };
}
inline Argument null() {
  return [](Builder& b) { return b.null(); };
}
inline Argument path() {
  return [](Builder& b) { return b.path(); };
}
inline Argument milliseconds() {
  return [](Builder& b) { return b.milliseconds(); };
}
inline Argument time_limit() {
  return [](Builder& b) { return b.timespec_relative(); };
}

// What `finish` is often made of.
inline std::function<void(Builder&)> makes(unsigned kind) {
  return [=](Builder& b) {
    b.call.takes_number = true;
    b.call.after = [&world = b.world, kind](long result) {
      if (result >= 0) world.opened(static_cast<int>(result), world.make_object(kind));
    };
  };
}
inline void value_varies(Builder& b) { b.call.value_varies = true; }

}  // namespace differential
