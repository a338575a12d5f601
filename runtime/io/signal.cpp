#include "tendril/signal.hpp"
#include "runtime/hub/hidden_descriptors.hpp"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <mutex>
#include <string>
#include <system_error>

#include "runtime/hub/interposed.hpp"
#include "runtime/hub/poller.hpp"
#include "tendril/errors.hpp"
#include "tendril/io.hpp"

namespace tendril {
namespace {

// What the handler touches: plain data that is never freed, and an eventfd that is never closed, so
// that one that runs late on another OS thread does no harm.
struct Slot {
  std::atomic<int> bell{-1};        // eventfd; written once in each process
  std::atomic<uint64_t> wanted{0};  // bit n - 1: signal n
  std::atomic<uint64_t> arrived{0};
  bool taken = false;  // guarded by slots_lock
  pid_t made_in = 0;   // the process that made the bell; guarded by slots_lock
};

constexpr int kSlots = 64;
Slot slots[kSlots];
// No lock of the runtime: what is called under it must be seen by an interposer.
std::mutex slots_lock;
struct sigaction former[65];  // guarded by slots_lock
int subscribers[65];          // guarded by slots_lock

constexpr uint64_t bit_of(int signal) { return uint64_t{1} << (signal - 1); }

void on_signal_came(int signal) {
  const int saved = errno;
  for (Slot& slot : slots) {
    if ((slot.wanted.load(std::memory_order_acquire) & bit_of(signal)) == 0) continue;
    slot.arrived.fetch_or(bit_of(signal), std::memory_order_release);
    const uint64_t one = 1;
    // It can only fail by being rung already.
    [[maybe_unused]] const ssize_t written =
        ::write(slot.bell.load(std::memory_order_relaxed), &one, sizeof one);
  }
  errno = saved;
}

// With the lock held.
bool install(int signal) {
  if (subscribers[signal]++ > 0) return true;
  struct sigaction action {};
  action.sa_handler = on_signal_came;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (::sigaction(signal, &action, &former[signal]) == 0) return true;
  --subscribers[signal];
  return false;
}

void uninstall(int signal) {
  if (--subscribers[signal] == 0) ::sigaction(signal, &former[signal], nullptr);
}

[[noreturn]] void fail(int error) {
  throw std::system_error(error, std::generic_category(), "signal");
}

int take_slot() {
  const std::lock_guard guard(slots_lock);
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = slots[i];
    if (slot.taken) continue;
    if (slot.made_in != getpid()) {  // after a fork the old one is the parent's too
      const int bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      if (bell < 0) return -1;
      // Where what is hidden is hidden from this code too, it stays as it is.
      slot.bell.store(rt::is_interposed() ? bell : rt::hide_descriptor(bell),
                      std::memory_order_relaxed);
      slot.made_in = getpid();
    }
    slot.arrived.store(0, std::memory_order_relaxed);
    slot.taken = true;
    return i;
  }
  errno = EAGAIN;
  return -1;
}

void give_back(int index) {
  const std::lock_guard guard(slots_lock);
  Slot& slot = slots[index];
  for (uint64_t left = slot.wanted.exchange(0); left != 0; left &= left - 1) {
    uninstall(std::countr_zero(left) + 1);
  }
  slot.taken = false;
}

}  // namespace

SignalSet::SignalSet(std::initializer_list<int> signals) {
  for (const int signal : signals) {
    if (signal < 1 || signal > 64) fail(EINVAL);
  }
  slot_ = take_slot();
  if (slot_ < 0) fail(errno);
  int error = 0;
  {
    const std::lock_guard guard(slots_lock);
    for (const int signal : signals) {
      if (!install(signal)) {
        error = errno;
        break;
      }
      slots[slot_].wanted.fetch_or(bit_of(signal), std::memory_order_release);
    }
  }
  if (error != 0) {
    give_back(std::exchange(slot_, -1));
    fail(error);
  }
}

SignalSet::~SignalSet() {
  if (slot_ >= 0) give_back(slot_);
}

int SignalSet::wait() { return *wait(kForever); }

std::optional<int> SignalSet::wait(Duration timeout) {
  Slot& slot = slots[slot_];
  for (;;) {
    const uint64_t arrived = slot.arrived.load(std::memory_order_acquire);
    if (arrived != 0) {
      const uint64_t first = arrived & -arrived;
      slot.arrived.fetch_and(~first, std::memory_order_acq_rel);
      return std::countr_zero(first) + 1;
    }
    const int bell = slot.bell.load(std::memory_order_relaxed);
    if (!io::wait_read(bell, timeout)) return std::nullopt;
    uint64_t rings;
    io::read(bell, &rings, sizeof rings);
  }
}

SignalHandler& SignalHandler::operator=(SignalHandler&& other) noexcept {
  std::swap(fiber_, other.fiber_);
  return *this;
}

void SignalHandler::cancel() {
  if (fiber_) fiber_.kill_soon();
  fiber_ = {};
}

SignalHandler on_signal(int signal, std::function<void()> function) {
  // Made here and not in the fiber: from now on no signal is missed.
  auto set = std::make_shared<SignalSet>(SignalSet{signal});
  const char* abbreviation = sigabbrev_np(signal);
  const std::string name = abbreviation != nullptr ? std::string("SIG") + abbreviation
                                                   : "signal " + std::to_string(signal);
  SpawnOptions options;
  options.name = name;
  return SignalHandler(spawn(options, [set = std::move(set), name, function = std::move(function)] {
    for (;;) {
      set->wait();
      SpawnOptions one;
      one.name = name;
      spawn(one, function);
    }
  }));
}

}  // namespace tendril
