#include "interpose/kernel/nonblocking_moment.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstdint>

#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constinit rt::SpinLock locks[kNonblockingMoments];

void set_mode(int fd, int nonblocking) noexcept {
  rt::raw_syscall(SYS_ioctl, fd, FIONBIO, &nonblocking);
}

// By what all its numbers have in common, where it may have several.
rt::SpinLock& lock_of(int fd, const Facts& facts) noexcept {
  auto key = static_cast<uint64_t>(fd);
  struct stat status;
  if (facts.maybe_duplicated && rt::raw_syscall(SYS_fstat, fd, &status) == 0) key = status.st_ino;
  return locks[key % kNonblockingMoments];
}

}  // namespace

rt::SpinLock& nonblocking_moment_lock(size_t number) noexcept { return locks[number]; }

void nonblocking_moments_reset_after_fork() noexcept {
  for (rt::SpinLock& lock : locks) lock.reset_after_fork();
}

NonblockingMoment::NonblockingMoment(int fd, const Facts& facts) noexcept
    : fd_(fd), guard_(lock_of(fd, facts)) {
  set_mode(fd_, 1);
}

NonblockingMoment::~NonblockingMoment() { set_mode(fd_, 0); }

}  // namespace tendril::kernel
