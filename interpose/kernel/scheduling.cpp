#include "interpose/kernel/scheduling.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstring>

#include "runtime/memory/allocator.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {
constexpr int kIoPriorityOfProcess = 1;  // IOPRIO_WHO_PROCESS
}

bool is_real_time(uint32_t policy) noexcept {
  return policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE;
}

void import_scheduling(Scheduling* s) noexcept {
  rt::raw_syscall(SYS_sched_getattr, 0, &s->attributes, sizeof s->attributes, 0);
  s->nice = 20 - static_cast<int>(rt::raw_syscall(SYS_getpriority, PRIO_PROCESS, 0));
  s->io_priority = static_cast<int>(rt::raw_syscall(SYS_ioprio_get, kIoPriorityOfProcess, 0));
  s->timer_slack = static_cast<uint64_t>(rt::raw_syscall(SYS_prctl, PR_GET_TIMERSLACK));
  s->default_timer_slack = s->timer_slack;
}

void inherit_scheduling(Scheduling* child, const Scheduling& parent) noexcept {
  *child = parent;
  child->default_timer_slack = parent.timer_slack;
  child->affinity = nullptr;
  child->affinity_size = 0;
  // Out of memory, the thread has the workers' affinity, which includes its maker's.
  if (parent.affinity != nullptr) remember_affinity(child, parent.affinity, parent.affinity_size);
  if ((parent.attributes.flags & kResetOnFork) == 0) return;
  // sched_fork in the kernel's kernel/sched/core.c
  child->attributes.flags = 0;
  if (is_real_time(parent.attributes.policy)) {
    child->attributes = SchedAttributes{};
    child->nice = 0;
  } else if (parent.nice < 0) {
    child->attributes.nice = 0;
    child->nice = 0;
  }
}

bool remember_affinity(Scheduling* s, const void* bits, size_t size) noexcept {
  unsigned char* fresh = nullptr;
  if (bits != nullptr) {
    fresh = static_cast<unsigned char*>(rt::runtime_allocate(size));
    if (fresh == nullptr) return false;
    std::memcpy(fresh, bits, size);
  }
  if (s->affinity != nullptr) rt::runtime_free(s->affinity);
  s->affinity = fresh;
  s->affinity_size = static_cast<uint32_t>(size);
  return true;
}

void carry_scheduling_over(const Scheduling& s) noexcept {
  if (!s.differs) return;
  if (s.affinity != nullptr) {
    rt::raw_syscall(SYS_sched_setaffinity, 0, s.affinity_size, s.affinity);
  }
  // Reset-on-fork is applied to a child as to a thread.
  Scheduling child = s;
  if ((s.attributes.flags & kResetOnFork) != 0) {
    child.affinity = nullptr;
    Scheduling parent = s;
    parent.affinity = nullptr;
    inherit_scheduling(&child, parent);
  }
  rt::raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, child.nice);
  rt::raw_syscall(SYS_sched_setattr, 0, &child.attributes, 0);
  rt::raw_syscall(SYS_ioprio_set, kIoPriorityOfProcess, 0, child.io_priority);
  rt::raw_syscall(SYS_prctl, PR_SET_TIMERSLACK, child.timer_slack);
}

}  // namespace tendril::kernel
