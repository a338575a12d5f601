// The two segment bases of x86-64 as this project uses them.
//
//   FS base  the thread control block: whose thread-locals, errno and pthread_self we see.
//            Belongs to a green thread and travels with it.
//   GS base  the Worker of an OS thread that runs green threads. Free for user space on x86-64
//            Linux; belongs to the OS thread and never travels. Read by one instruction, so that
//            code which may be moved to another worker between two instructions never mixes two
//            workers.
//
// The fibers of the API stay on their OS thread, with its thread-locals: there the worker is found
// by one of them (own_worker) and the GS base stays 0. It is not free where only the kernel can
// write it: each time such a thread is put on a CPU, which in some virtual machines takes
// microseconds.
//
// Elsewhere a GS base of 0 must not be dereferenced: on_worker is a thread-local, so it answers by
// FS base. Whoever makes a green thread sets it in the new thread's block (mark_on_worker).
#pragma once

#include <cstdint>

namespace tendril::rt {

class Worker;

extern constinit thread_local bool on_worker __attribute__((tls_model("initial-exec")));
// Of an OS thread that runs no green threads.
extern constinit thread_local Worker* own_worker __attribute__((tls_model("initial-exec")));

// True where the CPU and the kernel let user space write segment bases (AT_HWCAP2, Linux 5.9).
bool has_fsgsbase() noexcept;

void set_fs_base_by_kernel(uintptr_t base) noexcept;
void set_gs_base(uintptr_t base) noexcept;
uintptr_t get_fs_base() noexcept;

extern bool fsgsbase_usable;  // whether switches write the FS base themselves

inline void set_fs_base(uintptr_t base) noexcept {
  if (__builtin_expect(fsgsbase_usable, true)) {
    asm volatile("wrfsbase %0" ::"r"(base) : "memory");
  } else {
    set_fs_base_by_kernel(base);
  }
}

// Precondition: on_worker. Never cache the result over a point where this code may move to another
// worker (a switch, or a return to program code).
inline Worker* current_worker_unchecked() noexcept {
  Worker* worker = own_worker;
  if (worker == nullptr) asm volatile("movq %%gs:0, %0" : "=r"(worker));
  return worker;
}

// Null on an OS thread that is no worker.
inline Worker* current_worker() noexcept {
  return on_worker ? current_worker_unchecked() : nullptr;
}

// Sets on_worker in the block of the green thread or the hub whose FS base is given.
void mark_on_worker(uintptr_t fs_base) noexcept;

}  // namespace tendril::rt
