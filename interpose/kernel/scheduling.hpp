// Scheduling of a green thread: its class, nice value, affinity, I/O priority and timer slack.
//
// They are properties of kernel threads, and green threads share those. So they are remembered for
// each green thread, inherited by those it makes, and answered from here; which of them are carried
// out stands in docs/scheduling.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::kernel {

struct GreenThread;

struct SchedAttributes {  // the kernel's struct sched_attr, version 1
  uint32_t size = sizeof(SchedAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;  // sched_getattr tells of reset-on-fork and the deadline flags only
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
  uint32_t util_min = 0;
  uint32_t util_max = 0;
};
static_assert(sizeof(SchedAttributes) == 56);

constexpr uint64_t kResetOnFork = 1;
constexpr size_t kMostMaskBytes = 1024;  // of the kernel's largest configuration: 8192 cores

// All guarded by ThreadTable::lock.
struct Scheduling {
  SchedAttributes attributes;
  int nice = 0;  // attributes do not tell it of a real-time thread
  int io_priority = 0;
  uint64_t timer_slack = 0;
  uint64_t default_timer_slack = 0;
  unsigned char* affinity = nullptr;  // runtime heap; null: the worker's
  uint32_t affinity_size = 0;
  bool differs = false;  // from what the workers have
};

bool is_real_time(uint32_t policy) noexcept;

// The calling OS thread's, for the first green thread of a process.
void import_scheduling(Scheduling* scheduling) noexcept;

// What clone gives to the new thread.
void inherit_scheduling(Scheduling* child, const Scheduling& parent) noexcept;

// Null bits: forget it. False: out of memory.
bool remember_affinity(Scheduling* scheduling, const void* bits, size_t size) noexcept;

// What was set for the running green thread asks for a kernel thread that is nobody else's, or
// another thread wishes that it has one: it gets one, with that affinity and class. Where there are
// too many of them a line on stderr says so, and the thread goes on as it is. May move to another
// worker: no lock may be held.
void carry_out_scheduling(GreenThread* thread) noexcept;

// In a new process, on its only kernel thread: it has its maker's scheduling, not the worker's.
// Raw system calls only, for the child may run on borrowed memory.
void carry_scheduling_over(const Scheduling& scheduling) noexcept;

// In the child of fork: nobody is inside a call.
void scheduling_calls_reset_after_fork() noexcept;

}  // namespace tendril::kernel
