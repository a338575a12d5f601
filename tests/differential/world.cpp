#include "world.hpp"

#include <sys/mman.h>

#include <cstdlib>

namespace differential {

World::World(uint64_t seed) : seed_(seed) {
  for (int i = 0; i < kSignalObjects; ++i) make_object(0);
  words = static_cast<uint32_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  shared_words = static_cast<uint32_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (words == MAP_FAILED || shared_words == MAP_FAILED) abort();
}

int World::make_object(unsigned kind) {
  objects_.emplace_back();
  objects_.back().kind = kind;
  objects_.back().ends_by_itself = kind == kTimerfd;
  return static_cast<int>(objects_.size()) - 1;
}

int World::object_of(int fd) const {
  const auto found = open_.find(fd);
  return found == open_.end() ? -1 : found->second;
}

unsigned World::kind_of(int fd) const {
  const int object = object_of(fd);
  return object < 0 ? 0 : objects_[static_cast<size_t>(object)].kind;
}

int World::pick(Random& random, unsigned kinds) const {
  std::vector<int> fitting;
  for (const auto& [fd, object] : open_) {
    if ((objects_[static_cast<size_t>(object)].kind & kinds) != 0) fitting.push_back(fd);
  }
  return fitting.empty() ? -1 : random.one_of(fitting);
}

void World::expand(Claim claim, std::set<Claim>* claims) const {
  if (!claims->insert(claim).second) return;
  const Object& object = objects_[static_cast<size_t>(claim.first)];
  for (const Claim& member : object.members) expand(member, claims);
  for (int signal = 1; signal < kSignalObjects; ++signal) {
    if ((object.signals >> (signal - 1) & 1) != 0) claims->insert({signal, Way::kIn});
  }
}

}  // namespace differential
