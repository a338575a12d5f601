// What the program that is being run has made so far: descriptors and the objects behind them.
//
// The controller alone reads and changes it, between steps, so that all that follows from it is the
// same in every run in which the calls have had the same results.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "random.hpp"

namespace differential {

enum Kind : unsigned {
  kPipeEnd = 1 << 0,
  kStream = 1 << 1,    // connected stream socket of the Unix domain, or a fresh one
  kDatagram = 1 << 2,  // Unix or UDP
  kSequenced = 1 << 3,
  kListener = 1 << 4,
  kTcp = 1 << 5,
  kFile = 1 << 6,
  kEventfd = 1 << 7,
  kTimerfd = 1 << 8,
  kSignalfd = 1 << 9,
  kEpoll = 1 << 10,
  kInotify = 1 << 11,
  kPidfd = 1 << 12,
  kTerminal = 1 << 13,
  kDevice = 1 << 14,
  kDirectory = 1 << 15,
  kQueue = 1 << 16,
  kSocket = kStream | kDatagram | kSequenced | kListener | kTcp,
  kAny = ~0U,
};

// Someone may wait for it: two who wait for the same are a race that the kernel does not order.
enum class Way : uint8_t { kIn, kOut };
using Claim = std::pair<int, Way>;  // of an object

struct Object {
  unsigned kind = 0;
  bool ends_by_itself = false;  // a wait for it does: a time limit, a timer
  bool spoiled = false;         // natively it has an error to report
  uint64_t signals = 0;         // a signalfd's
  std::set<Claim> members;      // an epoll set's
};

// The signals that programs use are objects too, below those of descriptors.
constexpr int kSignalObjects = 65;

class World {
 public:
  explicit World(uint64_t seed);
  int make_object(unsigned kind);
  // The number now stands for the object.
  void opened(int fd, int object) { open_[fd] = object; }
  void closed(int fd) { open_.erase(fd); }
  bool is_open(int fd) const { return open_.count(fd) != 0; }
  // -1 if the number is not known.
  int object_of(int fd) const;
  Object& object(int id) { return objects_[static_cast<size_t>(id)]; }
  unsigned kind_of(int fd) const;
  const std::map<int, int>& open() const { return open_; }
  // A descriptor of one of the kinds, -1 if there is none.
  int pick(Random& random, unsigned kinds) const;
  // Message queues of POSIX have names that all processes see.
  static constexpr unsigned kQueueNames = 2;
  std::string queue_name(unsigned index) const {
    return "differential." + std::to_string(seed_) + "." + std::to_string(index);
  }
  // All that a wait for (object, way) is a wait for.
  void expand(Claim claim, std::set<Claim>* claims) const;

  // Who blocks which of the program's signals, by thread: kept by the rt_sigprocmask calls.
  std::vector<uint64_t> blocked;
  uint64_t read_by_signalfds = 0;
  std::vector<int> tids;  // of the threads
  std::vector<int> children;
  std::vector<int> timers;
  std::vector<int> semaphore_sets;
  std::vector<int> message_queues;
  uint32_t* words = nullptr;         // kWords of them, of this process
  uint32_t* shared_words = nullptr;  // in memory that other processes could map
  static constexpr unsigned kWords = 4;

 private:
  const uint64_t seed_;
  std::map<int, int> open_;
  std::vector<Object> objects_;
};

}  // namespace differential
