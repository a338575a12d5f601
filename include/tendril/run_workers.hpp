// Explicit fibers on many cores, in one process: OS threads, each with a hub and fibers of its own.
// What they share they share as threads do: queues, events and locks work between hubs. (gevent has
// one hub of use in a process; for processes instead of threads, gunicorn's model: run_prefork)
//
//   Event stop;
//   auto term = on_signal(SIGTERM, [&] { stop.set(); });
//   run_workers(0, [&](unsigned) {
//     StreamServer server(address, handler, {.reuse_port = true});
//     server.start();
//     stop.wait();
//     server.stop(10s);
//   });
#pragma once

#include <functional>

namespace tendril {

// Runs work(0), …, work(count - 1) at the same time, each in a fiber named "worker N" on an OS
// thread of its own; the calling thread is that of number 0, and its other fibers run meanwhile. A
// count of 0 means as many as this process may use cores: its affinity, bounded by the CPU quota of
// its cgroup. `work` is called from all of these threads, once each, and not before all of them are
// there. Fibers stay on the hub that spawned them.
//
// Returns when every call has returned and the threads have ended; the fibers that a thread still
// has then are killed and waited for. Number 0's go on, since the calling thread does.
//
// When a call throws, all others are told to end: GreenletExit is thrown in their fibers, as by
// kill(), and they are waited for; what has not begun by then is not called. Then the first
// exception is rethrown; the others are reported (set_error_hook). A call that is ended by
// GreenletExit has ended well. A kill or a Timeout of the calling fiber does the same to all calls,
// and passes on when they have ended.
//
// Throws MisuseError on an OS thread that is in a run_workers already, as all of its workers are;
// BlockingInHub; std::system_error when that many threads, or hubs for them, cannot be had, and
// then `work` was not called.
//
// In an interposed process the threads are green threads, whose fibers all share one hub: run
// programs that spread explicit fibers natively.
void run_workers(unsigned count, const std::function<void(unsigned number)>& work);

}  // namespace tendril
