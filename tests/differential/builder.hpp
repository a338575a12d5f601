// Builds the arguments of one call out of random numbers and of what the world offers, and the text
// that stands for it in the transcript.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "memory.hpp"
#include "random.hpp"
#include "world.hpp"

namespace differential {

// A call ready to be made by a thread.
struct Prepared {
  std::string text;
  long number = -1;
  long arguments[6] = {};
  // By libc's function of that name, if it is set; it takes the arguments and sets errno.
  long (*by_libc)(const long*) = nullptr;
  bool raw_only = false;        // libc's function is not for it
  bool by_instruction = false;  // else by libc's syscall()
  bool ends_by_itself = false;  // a time limit that is near
  bool value_varies = false;  // a result that is no error is not comparable: a number of a process
  int expiry_ms = 0;          // a timer that it arms runs out by then
  std::set<Claim> claims;     // what it waits for or takes from
  std::vector<int> fds;       // numbers that must stay as they are while it waits
  std::vector<int> closes;    // numbers that it closes or replaces
  std::optional<uint64_t> temporary_mask;
  uint64_t waits_for_signals = 0;
  int process_signal = 0;     // that it sends to the process
  int thread_signal = 0;      // that it sends to a thread
  bool takes_number = false;  // it makes a descriptor
  bool holds_number = false;  // natively also while it waits
  bool in_order = false;      // several who wait are served in the order of their coming
  std::function<void(long result)> after;       // result: as from the kernel
  std::function<std::string(long)> also_shown;  // of the results
};

class Builder {
 public:
  Builder(World& world, Room& room, Random& random, unsigned wild, int thread)
      : world(world), room(room), random(random), wild(wild), thread(thread) {}

  // Descriptors. `way`: how the call waits for it, if it may.
  long fd(unsigned kinds, std::optional<Way> way);
  long fd_to_replace();
  long fd_anything();  // for calls of which the kind is no matter

  // Memory
  long out(const std::vector<size_t>& sizes, Shown shown = Shown::kBytes);
  long in(const std::vector<size_t>& sizes);
  long size();  // of what came last
  // A structure: a copy of `value` in the room, or now and then a bad place.
  template <typename T>
  long structure(const T& value, Shown shown) {
    return pointer(&value, sizeof value, shown);
  }
  long pointer(const void* value, size_t size, Shown shown);
  long vectors(bool input, unsigned* count);

  // Times
  long timespec_relative();
  long timeval_relative();
  long milliseconds();

  // Signals
  long signal_set(uint64_t set);
  uint64_t random_set();
  int signal();

  long path();
  long number(long value);  // shown as it is
  long named(const char* name, long value);
  long one_of(const std::vector<long>& values);
  long flags_of(const std::vector<long>& bits);
  long null() { return named("null", 0); }
  // Instead of a good pointer, now and then.
  bool bad_pointer(long* pointer);
  bool is_wild() { return random.chance(wild); }
  void note_slow_close(int fd);
  void claim(int fd, Way way);
  std::string name_of(long address) const;

  World& world;
  Room& room;
  Random& random;
  const unsigned wild;  // percent
  const int thread;
  Prepared call;
  size_t last_size = 0;  // as the call is told
  size_t last_room = 0;  // what there is of it
  uint8_t* last_chunk = nullptr;
  bool last_at_edge = false;

 private:
  void show(const std::string& argument);
  bool take_edge(unsigned percent);
  bool edge_taken_ = false;
};

// The signals that programs use here.
extern const std::vector<int> kSignals;
constexpr uint64_t bit_of(int signal) { return uint64_t{1} << (signal - 1); }

}  // namespace differential
