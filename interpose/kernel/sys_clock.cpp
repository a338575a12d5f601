// clock_gettime(2), clock_getres(2), clock_settime(2), getrusage(2): the CPU time of green threads
#include <sys/resource.h>
#include <time.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_clock.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/cpu_time.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// As the kernel would be asked about a thread of its own. The answer is the same for all of them.
Call about_own_thread(const Call& call) noexcept {
  Call own = call;
  constexpr int kCaller = 0;
  if (const ThreadClock decoded(call.arguments[0]); decoded.is_thread_clock && decoded.tid != 0) {
    rt::SpinGuard guard(threads().lock);
    if (threads().find(decoded.tid) != nullptr) own.arguments[0] = rt::thread_cpu_clock(kCaller);
  }
  return own;
}

rt::Nanoseconds cpu_time_of_caller() noexcept { return rt::cpu_time_of(*current_thread()->fiber); }

}  // namespace

long sys_clock_gettime(Call& call) {
  const ThreadClock decoded(call.arguments[0]);
  if (!decoded.is_thread_clock) return pass(call);
  rt::Nanoseconds time;
  if (decoded.tid == 0) {
    time = cpu_time_of_caller();
  } else {
    rt::SpinGuard guard(threads().lock);  // it stays alive meanwhile
    GreenThread* thread = threads().find(decoded.tid);
    if (thread == nullptr) return -EINVAL;
    time = rt::cpu_time_of(*thread->fiber);
  }
  return copy_out(reinterpret_cast<void*>(call.arguments[1]), rt::to_timespec(time));
}

long sys_clock_getres(Call& call) { return pass(about_own_thread(call)); }

long sys_clock_settime(Call& call) { return pass(about_own_thread(call)); }

long sys_getrusage(Call& call) {
  if (call.arguments[0] != RUSAGE_THREAD) return pass(call);
  rusage usage;
  const long result = rt::raw_syscall(SYS_getrusage, RUSAGE_SELF, &usage);
  if (result != 0) return result;
  // What is not known of a green thread is the process's: too much, but never less than before, as
  // a worker's is when the thread comes to another. Nor is it known what of the time the kernel
  // used.
  const rt::Nanoseconds time = cpu_time_of_caller();
  usage.ru_utime = {time / rt::kNanosPerSecond, time % rt::kNanosPerSecond / 1000};
  usage.ru_stime = {};
  return copy_out(reinterpret_cast<void*>(call.arguments[1]), usage);
}

}  // namespace tendril::kernel
