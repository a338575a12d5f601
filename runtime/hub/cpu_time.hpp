// CPU time of OS threads, and of single fibers.
//
// A fiber's is counted from the moment that somebody first asks for it: from then on each switch
// reads the worker's CPU clock, a system call. What the asker's worker had used by then is taken
// for the asker's, so that a thread that has run alone finds its whole time.
#pragma once

#include <atomic>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

struct Fiber;
class Worker;

// Part of a worker: what it has charged to its fibers. Its own thread writes, any may read.
struct CpuAccount {
  std::atomic<uint32_t> version{0};     // odd: being changed
  std::atomic<Nanoseconds> charged{0};  // up to here on the clock of its OS thread
  std::atomic<bool> open{false};
  // Where that clock was when somebody first asked for the fiber that has been running since before
  // the account was opened: it counts from there. 0: nobody has. Any thread writes, once.
  std::atomic<Nanoseconds> asked_at{0};
};

// Of an OS thread of this process. By a clock and not from /proc: a descriptor, be it open ever so
// shortly, could take the number that the program's next open must get. Any thread.
Nanoseconds time_of_os_thread(int tid) noexcept;

// What the OS thread has used before it became a worker is the fiber's that it was. Own thread.
void begin_cpu_account(Worker& worker, Fiber& running) noexcept;

// Charges Worker::current with what the worker has used since the last charge; what it uses from
// here on is `next`'s, which becomes current. Own thread.
void charge_and_set_current(Worker& worker, Fiber& next) noexcept;

// Precondition: the fiber stays alive. Any thread of a worker, in runtime mode.
Nanoseconds cpu_time_of(Fiber& fiber) noexcept;

// In the child of fork, whose clock begins at zero.
void cpu_times_reset_after_fork(Worker& worker, Fiber& survivor) noexcept;

}  // namespace tendril::rt
