// io_uring_setup(2), io_uring_enter(2) and io_uring_register(2)
//
// Rings are the Linux kernel's. What is submitted is submitted by the green thread's worker, with
// its credentials; waiting for completions is offloaded.
//
// Some of it is for one kernel thread alone: a ring with one issuer (IORING_SETUP_SINGLE_ISSUER) is
// refused to all others, and registered ring descriptors are numbers in a table of the thread's. A
// green thread that asks for such goes on on a kernel thread of its own, where it waits as well.
// What the only thread of a process asked for, before it was green, is its first worker's.
#include <linux/io_uring.h>

#include <cerrno>

#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// Newer than the headers that this may be built with.
constexpr uint32_t kSetupSingleIssuer = 1U << 12;
constexpr uint32_t kSetupRegisteredFdOnly = 1U << 15;
constexpr uint32_t kEnterExtArg = 1U << 3;
constexpr uint32_t kEnterRegisteredRing = 1U << 4;
constexpr uint32_t kEnterExtArgReg = 1U << 6;
constexpr uint32_t kOfWaits =
    IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAIT | kEnterExtArg | kEnterExtArgReg;
constexpr uint32_t kRegisterEnableRings = 12;
constexpr uint32_t kRegisterRingFds = 20;
constexpr uint32_t kRegisterUseRegisteredRing = 1U << 31;

struct WaitArgument {  // io_uring_getevents_arg
  uint64_t mask;
  uint32_t mask_size;
  uint32_t least_wait;
  uint64_t limit;
};

bool has_own_kernel_thread() noexcept { return rt::current_worker_unchecked()->reserved; }

// The argument of a wait without the signal mask, which is in force for the green thread.
class WaitArguments {
 public:
  long take(long argument, long size, uint32_t flags) noexcept {
    argument_ = argument;
    size_ = size;
    // Registered memory holds it then, and the rest is the Linux kernel's to refuse.
    if ((flags & kEnterExtArgReg) != 0 || argument == 0) return 0;
    if ((flags & kEnterExtArg) == 0) {
      argument_ = 0;
      return mask_.set(reinterpret_cast<const uint64_t*>(argument), static_cast<size_t>(size));
    }
    if (size != sizeof own_) return 0;
    if (copy_in(&own_, reinterpret_cast<const void*>(argument)) != 0) return -EFAULT;
    const auto* mask = reinterpret_cast<const uint64_t*>(own_.mask);
    own_.mask = 0;
    argument_ = reinterpret_cast<long>(&own_);
    return mask_.set(mask, own_.mask_size);
  }
  // Whether so many completions are there already.
  bool need_not_wait(long ring, long least, uint32_t flags) const noexcept {
    WaitArgument now{};
    if ((flags & IORING_ENTER_SQ_WAIT) != 0) return false;
    const timespec none{};
    now.limit = reinterpret_cast<uint64_t>(&none);
    const uint32_t how = (flags & ~kEnterExtArgReg) | kEnterExtArg;
    return rt::raw_syscall(SYS_io_uring_enter, ring, 0, least, how, &now, sizeof now) == 0;
  }
  long argument() const noexcept { return argument_; }
  long size() const noexcept { return size_; }
  void end(bool interrupted) noexcept { mask_.restore(interrupted); }

 private:
  TemporaryMask mask_;
  WaitArgument own_{};
  long argument_ = 0;
  long size_ = 0;
};

// A ring that the process's only thread made for itself, before there were others, belongs to the
// thread of the first worker. There goes the first green thread, and stays. False: it is another,
// or has a kernel thread of its own.
bool goes_to_first() noexcept {
  if (has_own_kernel_thread() || current_thread()->tid != rt::raw_syscall(SYS_getpid)) {
    return false;
  }
  workers().pin_to_first();
  return true;
}

long call_as_issuer(Call& call) noexcept {
  const long result = pass(call);
  return result == -EEXIST && goes_to_first() ? pass(call) : result;
}

long wait_for_completions(const Call& call, uint32_t flags) noexcept {
  const long ring = call.arguments[0];
  const long least = call.arguments[2];
  WaitArguments wait;
  long result = wait.take(call.arguments[4], call.arguments[5], flags);
  if (result != 0) {  // the kernel looks at the ring first
    const long refused = rt::raw_syscall(call.number, ring, 0, 0, flags & ~kOfWaits, nullptr, 0);
    return refused < 0 ? refused : result;
  }
  if (has_own_kernel_thread() || !wait.need_not_wait(ring, least, flags)) {
    const long a[6] = {ring, 0, least, flags, wait.argument(), wait.size()};
    bool here = (flags & kEnterRegisteredRing) != 0;
    if (!here) {
      result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
      here = result == -EEXIST && goes_to_first();
    }
    if (here) result = rt::current_worker_unchecked()->call_here(call.number, a);
  }
  wait.end(result == -EINTR);
  return result;
}

// On a ring that is made disabled and enabled by the kernel thread that it is to belong to, so that
// no thread is bound for a ring that the Linux kernel does not make.
long make_for_one_thread(const Call& call, io_uring_params params) noexcept {
  params.flags |= IORING_SETUP_R_DISABLED;
  const long fd = rt::raw_syscall(call.number, call.arguments[0], &params);
  if (fd < 0) return fd;
  params.flags &= ~static_cast<uint32_t>(IORING_SETUP_R_DISABLED);
  long result = bind_thread() ? 0 : -EAGAIN;
  if (result == 0) {
    result = rt::raw_syscall(SYS_io_uring_register, fd, kRegisterEnableRings, nullptr, 0);
  }
  if (result == 0) result = copy_out(reinterpret_cast<void*>(call.arguments[1]), params);
  if (result == 0) return fd;
  rt::raw_syscall(SYS_close, fd);
  return result;
}

}  // namespace

long sys_io_uring_setup(Call& call) {
  io_uring_params params;
  const auto* given = reinterpret_cast<const void*>(call.arguments[1]);
  if (has_own_kernel_thread() || copy_in(&params, given) != 0) return pass(call);
  // Its number is one of the thread's: there is nothing to close, and no second look at the flags.
  if ((params.flags & kSetupRegisteredFdOnly) != 0) return bind_thread() ? pass(call) : -EAGAIN;
  const bool for_one = (params.flags & kSetupSingleIssuer) != 0;
  if (!for_one || (params.flags & IORING_SETUP_R_DISABLED) != 0) return pass(call);
  return make_for_one_thread(call, params);
}

long sys_io_uring_enter(Call& call) {
  const long* a = call.arguments;  // fd, to_submit, min_complete, flags, argument, argument size
  const auto flags = static_cast<uint32_t>(a[3]);
  const bool waits = ((flags & IORING_ENTER_GETEVENTS) != 0 && static_cast<uint32_t>(a[2]) > 0) ||
                     (flags & IORING_ENTER_SQ_WAIT) != 0;
  if ((flags & kEnterRegisteredRing) != 0) goes_to_first();
  if (!waits) return call_as_issuer(call);
  Call submission = call;
  submission.arguments[2] = 0;
  submission.arguments[3] = static_cast<long>(flags & ~kOfWaits);
  submission.arguments[4] = submission.arguments[5] = 0;
  const auto wanted = static_cast<uint32_t>(a[1]);
  const long submitted = wanted > 0 ? call_as_issuer(submission) : 0;
  if (submitted != static_cast<long>(wanted)) return submitted;
  const long result = wait_for_completions(call, flags);
  return submitted > 0 ? submitted : result;
}

long sys_io_uring_register(Call& call) {
  const auto what = static_cast<uint32_t>(call.arguments[1]);
  // A ring that is enabled belongs from then on, if to one thread, to the one that enables it.
  const uint32_t plain = what & ~kRegisterUseRegisteredRing;
  const bool for_one = plain == kRegisterEnableRings || plain == kRegisterRingFds;
  if ((what & kRegisterUseRegisteredRing) != 0) {
    goes_to_first();
  } else if (for_one && !has_own_kernel_thread() && !bind_thread()) {
    return -EAGAIN;
  }
  return call_as_issuer(call);
}

}  // namespace tendril::kernel
