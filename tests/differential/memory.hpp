// The memory that calls are given addresses of: a room for each thread, and places that the Linux
// kernel refuses.
//
//   room      | chunk | chunk | …           | page that nobody may touch |
//   edge      | one page                    | page that nobody may touch |
//
// Chunks lie apart from each other; what a call has written is found by comparing with a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "random.hpp"

namespace differential {

struct BadPlace {
  const char* name;
  uintptr_t address;
};

// How what a call wrote into a chunk is shown.
enum class Shown {
  kBytes,    // all of it
  kWhether,  // only whether it was changed: times, numbers of processes, ports
  kNever,    // input
};

class Room {
 public:
  static constexpr size_t kSize = size_t{512} << 10;

  Room();
  // Forgets all chunks.
  void clear();
  // A chunk of `size` bytes filled with a pattern, aligned by 16.
  uint8_t* chunk(size_t size, Shown shown);
  // The last `size` bytes before a page that nobody may touch. One each time the room is cleared.
  uint8_t* at_edge(size_t size, Shown shown);
  // Keeps what the chunks contain now, to compare with.
  void remember();
  // What has changed since, in words.
  std::string changes() const;
  // "room+12", "edge-4", or empty if the address is not in here.
  std::string name_of(uintptr_t address) const;

 private:
  struct Chunk {
    uint8_t* at;
    size_t size;
    Shown shown;
    size_t copy;  // offset in copies_
  };
  uint8_t* base_;
  uint8_t* edge_;  // the end of the page
  size_t used_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<uint8_t> copies_;
};

// Addresses that are an error everywhere.
const std::vector<BadPlace>& bad_places();

}  // namespace differential
