// Readiness of descriptors: an edge-triggered epoll set in which each descriptor is registered
// once, for both directions, when somebody first waits for it.
//
// The protocol, which loses no edge:
//
//   seen = poller.edges(fd, direction)     how many edges so far
//   try the operation; done unless EAGAIN
//   poller.wait(fd, ..., seen, deadline)   returns at once if an edge came after `seen`
//
// An edge wakes one of those who wait to transfer data (readers or writers), who must call
// pass_on after a successful transfer, since there may be more for the next; and all who poll.
//
// Edges that nobody waits for wake workers that sleep, for nothing. So what is not waited for by
// those it wakes most, but looked at now and then while others work on what it told (an epoll set
// of the program's, see watch_on_demand) is armed by each wait instead and fires once. And so is,
// for some waits, what has told such edges: the socket of a reader that is slower than its peer, or
// of one who accepts connections and serves them as well. See waits_on_demand.cpp.
//
// Who writes to one end of a pipe tells who waits at the other (join_ends), without the Linux
// kernel. It is asked to tell as well, but only of waits that last: it would wake a worker that
// sleeps at each write, for what is done already. See told_waits.cpp.
//
// A try that says EAGAIN has found the end of what was there, and so has a short read of a TCP
// socket: note_drained and note_short_read remember that, and until the next edge nobody asks
// again. Whoever notes has read the count of edges *before* the try, so an edge that comes in
// between, on whichever worker, makes the note void; and a note that comes so late that the number
// has a new owner is void too, or as true of that one: no edge of its own has been counted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/timer.hpp"
#include "runtime/fiber/wait.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

struct epoll_event;

namespace tendril::rt {

enum class Direction : uint8_t { kRead = 0, kWrite = 1 };

struct PollWaiter : Waiter {
  uint32_t events = 0;      // EPOLL* it wants to hear of; HUP and ERR always count
  uint32_t generation = 0;  // of the owner whose open file it holds; see kept_files.cpp
  bool holds = false;
  // What the descriptor was ready for, if the Linux kernel was asked after the waiter had been
  // added, and nobody else was woken; 0: who is woken asks again. For who has been woken.
  uint32_t told = 0;
  uint64_t added_at = 0;  // Poller's
};

// What a system call of an interposed program, which may wait several times, knows of its waits.
struct CallWait {
  bool holds = false;   // the open file, from the first one on; see kept_files.cpp
  uint8_t in_vain = 0;  // how often it has waited and then found nothing, in succession
};

// One descriptor number. The generation tells its successive owners apart.
//
// A new one is nothing but zeros, as is the memory that they lie in: what is not used is not
// touched. A server with many connections finds each of these cold: what an edge that wakes a
// reader touches is in the first cache line. The first who waits has a place there, so that the
// waker need not look at that fiber's stack; those behind it are in the lists.
struct alignas(64) FdState {
  SpinLock lock;
  // Guarded by lock; `registered` is read without it as a hint.
  bool registered : 1 = false;
  bool always_ready : 1 = false;  // the kernel refuses to poll it: a regular file
  bool armed : 1 = false;         // registered, and the next edge will be told
  bool polled : 1 = false;        // pollers is not empty
  bool unarmed : 1 = false;       // told_here, and in the poller's list of those that are not armed
  uint8_t in_vain : 3 = 0;        // edges that woke a sleeper for nobody
  // For how many waits yet it is armed by each of them, kForGood or kNever; guarded by lock, read
  // without it as a hint.
  static constexpr uint8_t kNever = 0;
  static constexpr uint8_t kForGood = UINT8_MAX;
  uint8_t on_demand = kNever;
  // What a short read leaves behind; written under lock.
  enum class Rest : uint8_t { kNotAsked, kNothing, kMaybeSome, kMaybeUrgent };
  std::atomic<Rest> rest{Rest::kNotAsked};
  // See SoleTry.
  enum class Trying : uint8_t { kNobody, kOne, kOneAndAnotherWaits };
  std::atomic<Trying> trying{Trying::kNobody};
  // Whether transfers may be left to a TransferRing; a hint.
  enum class Transfers : uint8_t { kUnknown, kBySocketCalls, kUnfit };
  std::atomic<Transfers> transfers_as{Transfers::kUnknown};
  bool told_here = false;                     // by who writes to its other end; as on_demand
  std::atomic<uint32_t> holders{0};           // see kept_files.cpp; written under lock
  uint32_t generation = 0;                    // guarded by lock; read without it as a hint
  std::atomic<uint32_t> edges[2] = {0, 0};    // written under lock
  std::atomic<uint32_t> waiting[2] = {0, 0};  // who waits to transfer, in all; written under lock
  // edges + 1 when a transfer last found nothing (0: unknown): until the next edge there is no
  // point in asking again.
  std::atomic<uint32_t> drained[2] = {0, 0};
  // For the layer above: what it knows about this descriptor; guarded by its own rules.
  std::atomic<uint64_t> facts{0};
  WaitToken first[2];  // who waits longest, if it did not have to queue; guarded by lock

  // Whose readers hear of what is written here.
  struct OtherEnd {
    uint32_t number_and_one = 0;  // 0: unknown
    uint32_t generation = 0;
  };
  std::atomic<OtherEnd> other_end{OtherEnd{}};

  IntrusiveList<Waiter> queue[2];     // guarded by lock
  IntrusiveList<PollWaiter> pollers;  // guarded by lock
  IntrusiveList<Waiter> transfers;    // under way in a TransferRing; guarded by lock

  // Of one that is told here; guarded by lock.
  struct Told {
    FdState* next = nullptr;  // in the poller's list; guarded by its lock
    int number = 0;
    uint32_t times_shared = 0;  // Poller's, when it became so
    uint32_t edges = 0;         // when it was last looked at, or armed
    bool looked_at = false;     // since it is in the list
    uint8_t untold = 0;         // edges that the Linux kernel alone has told
  };
  Told told;

  // Files of the number's former owners under other numbers, see kept_files.cpp. Guarded by lock;
  // what is said of such a number, by the lock of the one whose owner's file it keeps.
  struct Kept {
    uint32_t first_and_one = 0;  // under which number the latest is kept; 0: none
    // Of a number that keeps one:
    uint32_t next_and_one = 0;
    uint32_t generation = 0;  // of the owner that it was
    uint32_t unclaimed = 0;   // holders that have not followed it here yet
  };
  Kept kept;
};
static_assert(offsetof(FdState, first) + sizeof(WaitToken) == 64);

// A wait that cannot be registered (out of watches or memory) becomes a slow poll, never a hang.
inline constexpr Nanoseconds kUnregisteredRetry = 2'000'000;

class Poller {
 public:
  // Makes the epoll set. Null when out of memory or descriptors.
  static Poller* create() noexcept;
  // Precondition: nobody has used it but who made it.
  static void destroy(Poller* poller) noexcept;

  // Null only when out of memory or fd is negative or absurd.
  FdState* state(int fd) noexcept {
    FdState* known = state_if_known(fd);
    return known != nullptr ? known : make_state(fd);
  }

  // Same, but does not make one.
  FdState* state_if_known(int fd) noexcept {
    const auto number = static_cast<unsigned>(fd);
    if (number >= kChunks * kChunk) return nullptr;  // or negative
    FdState* chunk = chunk_at(number >> kChunkBits);
    return chunk != nullptr ? &chunk[number & (kChunk - 1)] : nullptr;
  }

  static uint32_t edges(const FdState& s, Direction d) noexcept {
    return s.edges[static_cast<int>(d)].load(std::memory_order_acquire);
  }

  // Remembers that with `seen` edges there was nothing to transfer; and asks whether that still
  // holds.
  static void note_drained(FdState& s, Direction d, uint32_t seen) noexcept {
    if (s.on_demand != FdState::kNever) return;  // not all edges are counted
    s.drained[static_cast<int>(d)].store(seen + 1, std::memory_order_relaxed);
  }
  // The same after a read of data that took less than it asked for. Precondition: it was not short
  // because the rest of the buffer cannot be written, and nobody has put a protocol on top of TCP
  // (TCP_ULP), whose records end reads.
  static void note_short_read(int fd, FdState& s, uint32_t generation, uint32_t seen) noexcept {
    if (rest_of_reads(fd, s, generation) == FdState::Rest::kNothing) {
      note_drained(s, Direction::kRead, seen);
    }
  }
  static FdState::Rest rest_of_reads(int fd, FdState& s, uint32_t generation) noexcept {
    const FdState::Rest rest = s.rest.load(std::memory_order_relaxed);
    return rest == FdState::Rest::kNotAsked ? ask_rest(fd, s, generation) : rest;
  }
  static void note_some_left(FdState& s) noexcept {
    s.drained[static_cast<int>(Direction::kRead)].store(0, std::memory_order_relaxed);
  }
  // False if a try may have said EAGAIN though there is something: before an urgent mark, Linux
  // says so of a socket while a signal is pending, and no edge follows.
  static bool is_nothing_there(int fd, const FdState& s, Direction d) noexcept {
    return d == Direction::kWrite ||
           s.rest.load(std::memory_order_relaxed) != FdState::Rest::kMaybeUrgent ||
           !is_readable(fd);
  }
  static bool is_drained(const FdState& s, Direction d) noexcept {
    return s.drained[static_cast<int>(d)].load(std::memory_order_relaxed) == edges(s, d) + 1;
  }

  // From now on edges are told, and counted, only while somebody waits: the first ends the wait of
  // one, who must call pass_on whatever has become of its try. Until the number's next owner.
  void watch_on_demand(FdState& s, uint32_t generation) noexcept;

  // Parks until an edge. kWoken: try again; kClosed: fd was closed meanwhile or is of another
  // generation; kTimeout; kInterrupted.
  WakeReason wait(int fd, FdState& s, uint32_t generation, Direction d, uint32_t seen,
                  Deadline deadline, CallWait* call = nullptr) noexcept;

  // Files that are held, see kept_files.cpp.
  static bool is_held(const FdState& s) noexcept {  // a hint
    return s.holders.load(std::memory_order_relaxed) != 0;
  }
  bool keeps_files() const noexcept {  // a hint, but for who holds one that is kept
    return kept_files_.load(std::memory_order_relaxed) != 0;
  }
  // False: the generation is another by now.
  bool hold(FdState& s, uint32_t generation) noexcept;
  // For a holder whose number has another owner now: the number under which its file is kept, and
  // which it holds from now on. Negative: it is not kept.
  int follow(FdState& s, uint32_t generation) noexcept;
  // Ends a holder's hold.
  void release(int fd, FdState& s, uint32_t generation) noexcept;

  // After a successful transfer: lets the next waiter of that direction try.
  void pass_on(FdState& s, Direction d) noexcept {
    if (s.waiting[static_cast<int>(d)].load(std::memory_order_relaxed) != 0) wake_next(s, d);
  }

  // A transfer of the Linux kernel's own begins, see TransferRing: its wait ends with kClosed when
  // the descriptor is forgotten. False if that has happened: the generation is another.
  bool begin_transfer(int fd, FdState& s, uint32_t generation, Waiter& waiter) noexcept;
  void end_transfer(FdState& s, Waiter& waiter) noexcept;

  // Ends a SoleTry that others could not make meanwhile: one of them tries now.
  void let_try(FdState& s, Direction d) noexcept;

  // For poll and select: adds a waiter that hears of `events`, unless the descriptor is one that is
  // always ready. False if it could not be registered. After adding, the caller polls once more, if
  // an edge has come since it did. From the first time on the waiter holds the open file, which
  // end_poll ends.
  bool add_poller(int fd, FdState& s, PollWaiter& waiter) noexcept;
  void remove_poller(FdState& s, PollWaiter& waiter) noexcept;
  void end_poll(int fd, FdState& s, PollWaiter& waiter) noexcept;

  // What is written to `from` is there to be read from `to`, the other end of a pipe, say; an
  // eventfd is its own. Who writes calls tell_other_end after it. For a descriptor that other
  // processes or the Linux kernel write to as well this is a hint that costs them some
  // milliseconds, twice.
  void join_ends(int from, int to) noexcept;
  void copy_other_end(int from, int to) noexcept;
  void tell_other_end(const FdState& s) noexcept;
  // From now on the Linux kernel tells of both ends: before something that nobody tells of.
  void stop_telling(int fd) noexcept;
  // Other processes have all descriptors that there are, or may soon have.
  void shared_outside() noexcept;
  // Somebody else sleeps until there are events. Nothing is told here then.
  void events_are_awaited_elsewhere() noexcept { polled_here_ = false; }

  // Something has happened to the descriptor that gives no edge but ends waits (shutdown of a
  // socket): wakes all who wait on it, to try again. And the same for all descriptors.
  void nudge(int fd) noexcept;
  void nudge_all() noexcept;

  // The descriptor is about to be closed or replaced: forgets it and wakes who waits with kClosed.
  // Call before the close, so that a duplicate does not keep the registration alive; where there is
  // none, the Linux kernel takes it away with the file. Returns the generation that begins.
  enum class Registration : uint8_t { kStays, kEndsWithFile };
  // `keeper`, if not negative, is a hidden duplicate for those who hold the file; it is closed
  // again if there are none.
  uint32_t forget(int fd, Registration registration = Registration::kStays,
                  int keeper = -1) noexcept;

  // After the close: does the same for those who began to wait meanwhile, unless the number has a
  // new owner already (then the generation is another).
  void closed(int fd, uint32_t generation) noexcept;

  // The number stands for a new open file.
  void begin_anew(int fd, FdState::Rest rest = FdState::Rest::kNotAsked) noexcept;

  // Waits for events at most `timeout` (0: just look; kForever) and wakes whom they concern. The
  // wait is an interruptible call under the flag. Several workers may poll the same set: an event
  // wakes one of those who wait, the latest to come first.
  struct Outcome {
    bool loop_has_work = false;  // the embedded loop has something to do
    bool rung = false;
    long events = 0;  // how many, of any kind
  };
  Outcome poll(const volatile int* interrupted, Nanoseconds timeout) noexcept;

  // Watches an internal descriptor by a tag: libuv's back end level-triggered, the others, which
  // are not read, so that each event of theirs wakes one sleeper.
  enum class Internal : uint64_t { kDoorbell = 1, kLoop = 2, kSharedFutexes = 3 };
  bool watch_internal(int fd, Internal tag) noexcept;

  // The set's own descriptors, which the program must not touch.
  int epoll_fd() const noexcept { return epoll_fd_; }
  int doorbell_fd() const noexcept { return doorbell_fd_; }
  void ring() noexcept;

  size_t waiters() const noexcept { return waiters_.load(std::memory_order_relaxed); }

  // In the child of fork: closes the inherited set (never changes it: it is the parent's too).
  void abandon_after_fork() noexcept;

 private:
  enum class Age : bool { kAny, kLasting };
  // When the Linux kernel was asked what it never said: events of our own.
  static constexpr uint64_t kNeverAsked = 0;

  Poller() = default;
  [[gnu::cold]] FdState* make_state(int fd) noexcept;
  FdState* chunk_at(size_t index) const noexcept {
    return __atomic_load_n(&chunks_[index], __ATOMIC_ACQUIRE);
  }
  bool ensure_registered(int fd, FdState& s, uint32_t wanted) noexcept;
  long control(int operation, int fd, const FdState& s, uint32_t events) const noexcept;
  static bool is_for_reads(uint32_t wanted) noexcept;
  static bool waits_to_read_only(FdState& s) noexcept;
  static void spend_wait_on_demand(FdState& s, uint32_t wanted) noexcept;
  void note_edge_in_vain(int fd, FdState& s) noexcept;
  void go_on_on_demand(int fd, FdState& s) noexcept;
  void withdraw_unless_waited_for(int fd, FdState& s) noexcept;
  bool waits_alone(int fd, FdState& s, const CallWait& call) noexcept;
  bool waits_for_teller(int fd, FdState& s, uint32_t wanted) noexcept;
  void list_unarmed(FdState& s) noexcept;
  void arm_unarmed(Age which) noexcept;
  bool arm(int fd, FdState& s) noexcept;
  static bool is_untold(const FdState& s, uint32_t events) noexcept;
  void go_on_after_edge(int fd, FdState& s, bool untold) noexcept;
  void stop_telling_locked(int fd, FdState& s) noexcept;
  void end_wait_of_other_end(const FdState& s) noexcept;
  void plan_look() noexcept;
  static void on_look(Timer* timer, uint64_t cookie) noexcept;
  static bool anybody_waits(const FdState& s) noexcept;
  bool take_waiter(FdState& s, int side, WaitToken* token) noexcept;
  void prefetch_for(const epoll_event* events, long count, long at) const noexcept;
  uint32_t forget_locked(int fd, FdState& s, Registration registration) noexcept;
  static void hold_locked(FdState& s) noexcept {  // precondition: s.lock held
    s.holders.store(s.holders.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  static bool drop_hold_locked(FdState& s) noexcept {  // true: it was the last one
    const uint32_t left = s.holders.load(std::memory_order_relaxed) - 1;
    s.holders.store(left, std::memory_order_relaxed);
    return left == 0;
  }
  void unlink_locked(FdState& s, PollWaiter& waiter) noexcept;
  // What is to be done when a hold has been dropped and the lock as well.
  struct Dropped {
    bool was_last = false;
    int keeper = -1;
  };
  Dropped drop_locked(FdState& s, uint32_t generation) noexcept;
  void finish_drop(int fd, Dropped dropped) noexcept;
  bool keep_locked(FdState& s, int keeper) noexcept;
  int claim_kept(FdState& s, uint32_t generation) noexcept;
  void close_keeper(int fd) noexcept;
  void close_kept_after_fork() noexcept;
  static FdState::Rest ask_rest(int fd, FdState& s, uint32_t generation) noexcept;
  static bool is_readable(int fd) noexcept;
  void wake_next(FdState& s, Direction d) noexcept;
  void on_event(uint64_t data, uint32_t events, uint64_t asked_at, bool woke_for_it) noexcept;
  void on_edges(FdState& s, uint32_t events, uint64_t asked_at) noexcept;

  static constexpr size_t kChunkBits = 9;
  static constexpr size_t kChunk = size_t{1} << kChunkBits;
  static constexpr size_t kChunks = size_t{1} << 13;  // 4 million descriptors

  int epoll_fd_ = -1;
  int doorbell_fd_ = -1;
  std::atomic<size_t> waiters_{0};
  std::atomic<size_t> kept_files_{0};
  std::atomic<uint64_t> polls_{0};  // that have begun
  bool polled_here_ = true;
  SpinLock unarmed_lock_;
  FdState* unarmed_ = nullptr;  // guarded by unarmed_lock_
  struct Look : Timer {
    Poller* poller = nullptr;
  };
  Look look_;  // at those
  std::atomic<bool> look_is_planned_{false};
  std::atomic<uint32_t> times_shared_{0};
  SpinLock grow_lock_;
  // Zeroed with the pages that a poller is made in: most of these are never touched.
  FdState* chunks_[kChunks];
};

// While it lives and is true, no other SoleTry on the descriptor is: for operations that ask for
// readiness first, because they have no way to say EAGAIN. Whoever was told false waits as after
// EAGAIN, and is woken when this one ends. It holds no lock: the operation may wait. If it does
// while the number gets a new owner, that one's tries do not wait for it; when it ends it may end
// one of those too early, and two of them are then made at once.
class SoleTry {
 public:
  SoleTry(Poller& poller, FdState& s, Direction direction) noexcept
      : poller_(poller), state_(s), direction_(direction) {
    using Trying = FdState::Trying;
    Trying before = Trying::kNobody;
    while (!s.trying.compare_exchange_weak(
        before, before == Trying::kNobody ? Trying::kOne : Trying::kOneAndAnotherWaits)) {
    }
    is_sole_ = before == Trying::kNobody;
  }
  ~SoleTry() {
    if (is_sole_ && state_.trying.exchange(FdState::Trying::kNobody) != FdState::Trying::kOne) {
      poller_.let_try(state_, direction_);
    }
  }
  SoleTry(const SoleTry&) = delete;
  SoleTry& operator=(const SoleTry&) = delete;

  explicit operator bool() const noexcept { return is_sole_; }

 private:
  Poller& poller_;
  FdState& state_;
  Direction direction_;
  bool is_sole_;
};

}  // namespace tendril::rt
