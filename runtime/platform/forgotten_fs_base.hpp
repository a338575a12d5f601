// Kernels that let user space write the FS base but do not know of it.
//
// Some hypervisors switch FSGSBASE on in the CPU and hide it from their guests. There `wrfsbase`
// works, in nanoseconds, but the guest's kernel believes that only arch_prctl sets the base: when
// it puts a kernel thread back on a CPU it loads what arch_prctl set last. And arch_prctl, whose
// register write the hypervisor has to carry out, takes microseconds.
//
// So the kernel is given a base that nothing can be reached by, once for each worker, and switches
// use `wrfsbase`. A kernel thread that was off its CPU goes on with the unreachable base: what it
// asks of its thread-locals next is a fault, whose handler (interpose/trap) puts the base of the
// running fiber back, and the instruction runs again. After its sleeps, and after the system calls
// that the shim makes for the program, in which it may have made way, a worker looks beforehand.
//
// It follows that a worker must never have SIGSEGV blocked in the kernel while it may need
// thread-locals. Where it has to (around fork and exec), it tells the kernel its base first.
#pragma once

#include <cstdint>

#include "runtime/platform/thread_registers.hpp"

namespace tendril::rt {

// A page that nobody may touch, as low as one can be mapped: thread-locals lie either a few KB
// above the base, on that page, or below it, where nothing can be mapped and then, round the end of
// the address space, the kernel's half begins. Debuggers, who may read it, find a thread there.
inline constexpr uintptr_t kUnreachableFsBase = 0x11000;

// Whether the kernel is one of these. Set once, before any worker is made, by whoever has installed
// that handler.
extern bool kernel_forgets_fs_base asm("tendril_kernel_forgets_fs_base");

// Makes that page; what debuggers find is like the thread whose FS base is given. False where
// something else lies there, or it cannot be had: then the kernel is to be asked for every switch.
bool make_unreachable_fs_base(uintptr_t fs_base) noexcept;

// Tells the kernel the caller's base, or lets it go again. On a worker; the first with SIGSEGV not
// blocked, after the second it must not be. Nothing where the kernel does not forget; nor the
// second once switches go by the kernel after all (fsgsbase_usable).
void tell_kernel_fs_base() noexcept;
void withdraw_fs_base() noexcept;

// The kernel's mask of a worker's handlers and sections that block every signal.
inline uint64_t all_signals_that_may_be_blocked() noexcept {
  constexpr uint64_t kSegv = uint64_t{1} << 10;
  return kernel_forgets_fs_base ? ~kSegv : ~uint64_t{0};
}

// Where the running fiber is found from the GS base, and its FS base in it; checked in
// hub/worker.hpp.
inline constexpr int kRunningFiberInWorker = 16;
inline constexpr int kFsBaseInFiber = 8;

// After this thread may have been off its CPU, in runtime code: its base is that of the running
// fiber again. True if it had been lost. Any thread, and no thread-locals are used.
inline bool put_back_fs_base() noexcept {
  if (__builtin_expect(!kernel_forgets_fs_base, true)) return false;
  uintptr_t base;
  asm volatile("rdfsbase %0" : "=r"(base));
  if (base != kUnreachableFsBase) return false;
  asm volatile(
      "movq %%gs:%c1, %0\n\t"
      "movq %c2(%0), %0\n\t"
      "wrfsbase %0"
      : "=&r"(base)
      : "i"(kRunningFiberInWorker), "i"(kFsBaseInFiber)
      : "memory");
  return true;
}

}  // namespace tendril::rt
