// setuid(2) and its relatives
//
// Credentials belong to kernel threads, so glibc makes every thread repeat the call: it signals
// them (SIGSETXID), each repeats it in the handler, the caller does it last. Green threads share a
// worker's credentials, where a repetition is wrong (setreuid may swap two ids) and must still
// return the same to each: the first of a round does it, the others are told its result.
#include <sys/types.h>

#include "interpose/kernel/credentials.hpp"
#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {
namespace {

constexpr int kSigSetxid = kKickSignal;  // the same number: green, it never reaches the kernel

struct Round {
  rt::SpinLock lock;
  bool begun = false;  // guarded by lock, like result
  long result = 0;
};
constinit Round round;

}  // namespace

long sys_set_credentials(Call& call) {
  const bool repetition = current_thread()->handling == kSigSetxid;
  rt::SpinGuard guard(round.lock);
  if (!round.begun) {
    workers().retire_watchdog();
    round.result = pass(call);
    if (round.result >= 0) call_on_other_workers(call.number, call.arguments);
    rt::offload_retire_threads();  // they have the old ones
  }
  round.begun = repetition;  // the caller's own call ends the round
  return round.result;
}

void credentials_reset_after_fork() noexcept {
  round.lock.reset_after_fork();
  round.begun = false;
}

}  // namespace tendril::kernel
