#include "memory.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace differential {
namespace {

constexpr size_t kPage = 4096;

uint8_t* map(size_t size, int protection) {
  void* memory =
      mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) abort();
  return static_cast<uint8_t*>(memory);
}

uint64_t hash_of(const uint8_t* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 0x100000001b3;
  return hash;
}

}  // namespace

Room::Room() {
  base_ = map(kSize + kPage, PROT_READ | PROT_WRITE);
  mprotect(base_ + kSize, kPage, PROT_NONE);
  uint8_t* edge = map(2 * kPage, PROT_READ | PROT_WRITE);
  mprotect(edge + kPage, kPage, PROT_NONE);
  edge_ = edge + kPage;
}

void Room::clear() {
  used_ = 0;
  chunks_.clear();
  copies_.clear();
}

uint8_t* Room::chunk(size_t size, Shown shown) {
  const size_t rounded = (size + 31) & ~size_t{15};
  if (used_ + rounded > kSize) abort();
  uint8_t* at = base_ + used_;
  used_ += rounded;
  memset(at, 0xa5, rounded);
  chunks_.push_back({at, size, shown, 0});
  return at;
}

uint8_t* Room::at_edge(size_t size, Shown shown) {
  if (size > kPage) size = kPage;
  uint8_t* at = edge_ - size;
  memset(at, 0xa5, size);
  chunks_.push_back({at, size, shown, 0});
  return at;
}

void Room::remember() {
  for (Chunk& chunk : chunks_) {
    chunk.copy = copies_.size();
    if (chunk.shown != Shown::kNever)
      copies_.insert(copies_.end(), chunk.at, chunk.at + chunk.size);
  }
}

std::string Room::changes() const {
  std::string text;
  for (const Chunk& chunk : chunks_) {
    if (chunk.shown == Shown::kNever) continue;
    const uint8_t* before = copies_.data() + chunk.copy;
    size_t first = 0;
    size_t last = chunk.size;
    while (first < last && chunk.at[first] == before[first]) ++first;
    while (last > first && chunk.at[last - 1] == before[last - 1]) --last;
    if (first == last) continue;
    text += " {" + name_of(reinterpret_cast<uintptr_t>(chunk.at));
    if (chunk.shown == Shown::kBytes) {
      char part[64];
      snprintf(part, sizeof part, " %zu-%zu:", first, last);
      text += part;
      for (size_t i = first; i < last && i < first + 32; ++i) {
        snprintf(part, sizeof part, "%02x", chunk.at[i]);
        text += part;
      }
      if (last - first > 32) {
        snprintf(part, sizeof part, "…#%llx",
                 static_cast<unsigned long long>(hash_of(chunk.at + first, last - first)));
        text += part;
      }
    } else {
      text += " changed";
    }
    text += "}";
  }
  return text;
}

std::string Room::name_of(uintptr_t address) const {
  char text[32];
  const auto base = reinterpret_cast<uintptr_t>(base_);
  const auto edge = reinterpret_cast<uintptr_t>(edge_);
  if (address >= base && address <= base + kSize) {
    snprintf(text, sizeof text, "room+%zu", static_cast<size_t>(address - base));
  } else if (address >= edge - kPage && address <= edge) {
    snprintf(text, sizeof text, "edge-%zu", static_cast<size_t>(edge - address));
  } else {
    return {};
  }
  return text;
}

const std::vector<BadPlace>& bad_places() {
  static const std::vector<BadPlace> places = [] {
    // What lies beyond must be the same in every run.
    uint8_t* read_only = map(2 * kPage, PROT_READ);
    uint8_t* nothing = read_only + kPage;
    mprotect(nothing, kPage, PROT_NONE);
    return std::vector<BadPlace>{
        {"null", 0},
        {"low", 0x1000},
        {"read-only", reinterpret_cast<uintptr_t>(read_only) + 64},
        {"untouchable", reinterpret_cast<uintptr_t>(nothing) + 64},
        {"kernel", 0xffff800000001000},
        {"non-canonical", 0x0000900000000000},
        {"last", ~uintptr_t{7}},
        {"end-of-user-space", 0x00007ffffffff000},
    };
  }();
  return places;
}

}  // namespace differential
