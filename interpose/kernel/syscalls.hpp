// The green system calls: one function per Linux system call, by the kernel's name, in the file of
// its family. Arguments and results are the kernel's; semantics are those of the manual page.
// Precondition of all: runtime code, on a green thread, no lock held.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <cstdint>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/signal_state.hpp"

struct futex_waitv;

namespace tendril::kernel {

// sys_clock.cpp
long sys_clock_gettime(Call& call);
long sys_clock_getres(Call& call);
long sys_clock_settime(Call& call);
long sys_getrusage(Call& call);

// sys_memory.cpp
long sys_mmap(Call& call);
long sys_mprotect(Call& call);
long sys_munmap(Call& call);
long sys_mremap(Call& call);

// protection_keys.cpp
long sys_pkey_alloc(Call& call);

// sys_directory.cpp
long sys_getdents(Call& call);
long sys_getdents64(Call& call);

// sys_io.cpp
long sys_read(int fd, void* buffer, size_t count);
long sys_write(int fd, const void* buffer, size_t count);
long sys_readv(int fd, const iovec* vectors, int count);
long sys_writev(int fd, const iovec* vectors, int count);
long sys_preadv2(Call& call);
long sys_pwritev2(Call& call);

// sys_socket.cpp
long sys_recvfrom(int fd, void* buffer, size_t length, int flags, void* address,
                  void* address_size);
long sys_recvmsg(int fd, msghdr* message, int flags);
long sys_recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout);
long sys_sendto(int fd, const void* buffer, size_t length, int flags, const void* address,
                unsigned address_size);
long sys_sendmsg(int fd, const msghdr* message, int flags);
long sys_sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags);
long sys_accept(int fd, void* address, void* address_size);
long sys_accept4(int fd, void* address, void* address_size, int flags);
long sys_connect(int fd, const void* address, unsigned address_size);
long sys_setsockopt(Call& call);
long sys_shutdown(Call& call);

// sys_poll.cpp
long sys_poll(pollfd* fds, unsigned long count, int timeout_ms);
long sys_ppoll(pollfd* fds, unsigned long count, timespec* timeout, const uint64_t* mask,
               size_t mask_size);
long sys_select(int count, void* read, void* write, void* except, timeval* timeout);
long sys_pselect6(int count, void* read, void* write, void* except, timespec* timeout,
                  const void* mask);

// sys_epoll.cpp
long sys_epoll_wait(int fd, epoll_event* events, int capacity, int timeout_ms);
long sys_epoll_pwait(int fd, epoll_event* events, int capacity, int timeout_ms,
                     const uint64_t* mask, size_t mask_size);
long sys_epoll_pwait2(int fd, epoll_event* events, int capacity, const timespec* timeout,
                      const uint64_t* mask, size_t mask_size);

// sys_time.cpp
long sys_nanosleep(const timespec* request, timespec* remaining);
long sys_clock_nanosleep(int clock, int flags, const timespec* request, timespec* remaining);
long sys_sched_yield();

// sys_futex.cpp
long sys_futex(uint32_t* word, int operation, uint32_t value, const timespec* timeout,
               uint32_t* word2, uint32_t value3);
long sys_futex_waitv(Call& call);
long sys_futex_wake(uint32_t* word, uint64_t bitset, int count, uint32_t flags);
long sys_futex_wait(uint32_t* word, uint64_t value, uint64_t bitset, uint32_t flags,
                    const timespec* timeout, int clock);
long sys_futex_requeue(const futex_waitv* list, uint32_t flags, int count, int move);

// sys_credentials.cpp
long sys_set_credentials(Call& call);

// sys_timer.cpp
long sys_timer_create(Call& call);
long sys_timer_gettime(Call& call);
long sys_timer_settime(Call& call);
long sys_timer_getoverrun(Call& call);
long sys_timer_delete(Call& call);

// sys_sched.cpp
long sys_sched_set(Call& call);
long sys_sched_setaffinity(Call& call);
long sys_sched_getaffinity(Call& call);
long sys_sched_getscheduler(int tid);
long sys_sched_getparam(int tid, void* parameters);
long sys_sched_getattr(Call& call);
long sys_sched_rr_get_interval(Call& call);
long sys_setpriority(Call& call);
long sys_getpriority(Call& call);
long sys_ioprio_set(Call& call);
long sys_ioprio_get(Call& call);
long set_timer_slack(uint64_t nanoseconds) noexcept;  // of the caller; 0: the default
long timer_slack() noexcept;

// sys_thread.cpp
// Whether a clone or clone3 makes a thread; such a one needs no trap's frame.
bool makes_thread(const Call& call) noexcept;
long sys_clone(Call& call);
long sys_clone3(Call& call);
[[noreturn]] long sys_exit(int status);
// Its two halves. The running thread gives up what it has of the process and is none of its threads
// any more: true if it was the last. If not, it ends.
bool leave_threads() noexcept;
[[noreturn]] void end_thread() noexcept;
long sys_gettid();
long sys_set_tid_address(uint32_t* word);
long sys_set_robust_list(void* head, size_t size);
long sys_get_robust_list(int tid, void** head, size_t* size);
long sys_rseq(void* area, uint32_t size, int flags, uint32_t signature);
long sys_prctl(Call& call);
// The kernel thread that has it is about to end: the present one gets it.
void carry_parent_death_signal() noexcept;

// sys_process.cpp
long sys_fork(Call& call);
long sys_vfork(Call& call);
long clone_process(Call& call, uint64_t flags, void* stack);
long sys_execve(Call& call);
long sys_execveat(Call& call);
long sys_exit_group(int status);
long sys_wait4(Call& call);
long sys_waitid(Call& call);

// sys_signal.cpp
long sys_rt_sigaction(int signal, const KernelAction* wanted, KernelAction* old, size_t set_size);
long sys_rt_sigprocmask(int how, const uint64_t* set, uint64_t* old, size_t set_size);
long sys_rt_sigreturn(Call& call);
long sys_sigaltstack(Call& call);
long sys_signalfd(Call& call);
long sys_rt_sigsuspend(const uint64_t* mask, size_t set_size);
long sys_rt_sigpending(uint64_t* set, size_t set_size);
long sys_rt_sigtimedwait(const uint64_t* set, siginfo_t* info, const timespec* timeout,
                         size_t set_size);
long sys_pause();
long sys_kill(int pid, int signal);
long sys_tkill(int tid, int signal);
long sys_tgkill(int pid, int tid, int signal);
long sys_rt_sigqueueinfo(int pid, int signal, siginfo_t* info);
long sys_rt_tgsigqueueinfo(int pid, int tid, int signal, siginfo_t* info);

// sys_pidfd.cpp
long sys_pidfd_send_signal(int fd, int signal, siginfo_t* info, unsigned flags);

// sys_fd.cpp
long sys_close(int fd);
long sys_close_range(unsigned first, unsigned last, unsigned flags);
long sys_dup(int fd);
long sys_dup2(int fd, int wanted);
long sys_dup3(int fd, int wanted, int flags);
long sys_fcntl(int fd, int command, long argument);
long sys_ioctl(int fd, unsigned long request, long argument);
long sys_open(Call& call);
long sys_openat(Call& call);
long sys_openat2(Call& call);
long sys_creat(Call& call);
long sys_new_descriptor(Call& call);
long sys_pidfd_getfd(Call& call);
long sys_new_pair(Call& call);

// sys_sendfile.cpp
long sys_sendfile(Call& call);

// sys_splice.cpp
long sys_splice(Call& call);
long sys_tee(Call& call);
long sys_vmsplice(Call& call);

// sys_offload.cpp
long sys_offloaded(Call& call);

// sys_ipc.cpp
long sys_semop(Call& call);
long sys_msgsnd(Call& call);
long sys_msgrcv(Call& call);
long sys_mq_timed(Call& call);

// sys_segment_bases.cpp
long sys_arch_prctl(Call& call);

// sys_own_thread.cpp
long sys_setfsid(Call& call);
long sys_capget(Call& call);
long sys_capset(Call& call);
long sys_personality(Call& call);
long sys_unshare(Call& call);
long sys_setns(Call& call);
long sys_landlock_restrict_self(Call& call);
// The running green thread gets an OS thread of its own. False, and a report: there are too many.
bool bind_thread() noexcept;
bool is_last_thread() noexcept;
long do_on_only_kernel_thread(const Call& call) noexcept;
// Whether a prctl concerns the calling kernel thread alone; and doing it.
bool is_of_own_thread(long option, long argument) noexcept;
long prctl_of_own_thread(const Call& call) noexcept;

// sys_ptrace.cpp
long sys_ptrace(Call& call);

// sys_seccomp.cpp
long sys_seccomp(Call& call);
long prctl_seccomp(Call& call);

// thread_limit.cpp
long sys_prlimit64(Call& call);
long sys_setrlimit(Call& call);
long sys_flock(Call& call);
long sys_msync(Call& call);
long sys_membarrier(Call& call);
long sys_io_getevents(Call& call);
long sys_io_pgetevents(Call& call);

// sys_io_uring.cpp
long sys_io_uring_setup(Call& call);
long sys_io_uring_enter(Call& call);
long sys_io_uring_register(Call& call);

}  // namespace tendril::kernel
