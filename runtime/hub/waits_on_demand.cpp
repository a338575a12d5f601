// Descriptors that are armed by each wait, see Poller: for good, or for some waits after edges that
// woke a sleeper for nobody.
//
// The latter is for reads that one at a time waits for. Arming finds what has come meanwhile, so no
// edge is lost; but they are not all counted, and nothing is noted of what was drained.
#include <sys/epoll.h>

#include "runtime/hub/poller.hpp"
#include "runtime/platform/runtime_mode.hpp"

namespace tendril::rt {
namespace {

// A wake-up costs as much as some ten changes of a registration.
constexpr uint8_t kEdgesInVain = 4;
constexpr uint8_t kWaitsOnDemand = 64;

// What wakes all who wait, to try again.
constexpr uint32_t kWakesAll = EPOLLHUP | EPOLLERR;

}  // namespace

void Poller::watch_on_demand(FdState& s, uint32_t generation) noexcept {
  if (s.on_demand == FdState::kForGood) return;
  RuntimeSection section;
  SpinGuard guard(s.lock);
  if (s.generation == generation) s.on_demand = FdState::kForGood;
}

// Precondition: s.lock held, and the edge is not counted yet: from then on notes of what was
// drained are void, and who has seen it makes none.
void Poller::note_edge_in_vain(int fd, FdState& s) noexcept {
  if (s.on_demand != FdState::kNever || s.told_here || ++s.in_vain < kEdgesInVain) return;
  s.in_vain = 0;
  if (control(EPOLL_CTL_MOD, fd, s, EPOLLET | EPOLLONESHOT) != 0) return;
  s.on_demand = kWaitsOnDemand;
  s.armed = false;
}

// Precondition: s.lock held. Who wants to write would hear of nothing else: a socket mostly can be.
void Poller::spend_wait_on_demand(FdState& s, uint32_t wanted) noexcept {
  if (s.on_demand == FdState::kForGood) return;
  if (is_for_reads(wanted) && --s.on_demand != FdState::kNever) return;
  s.on_demand = FdState::kNever;
  s.armed = false;
}

// Precondition: s.lock held. Where several wait the edge has woken one of them, and the others wait
// for the next. Those of a set of the program's wake each other.
void Poller::go_on_on_demand(int fd, FdState& s) noexcept {
  if (s.on_demand == FdState::kForGood || s.armed || !anybody_waits(s)) return;
  s.on_demand = FdState::kNever;
  if (!arm(fd, s)) on_edges(s, kWakesAll, kNeverAsked);
}

}  // namespace tendril::rt
