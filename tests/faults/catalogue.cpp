#include "catalogue.hpp"

#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

namespace faults {
namespace {

constexpr uint64_t kAll = ~uint64_t{0};

std::vector<Fault> make() {
  std::vector<Fault> all;
  const auto add = [&](Group group, unsigned kinds, std::vector<int> calls,
                       std::vector<int> errors) {
    for (const int call : calls) {
      for (const int error : errors) all.push_back({call, group, error, kinds});
    }
  };
  const auto add_where = [&](Group group, int call, std::vector<int> errors, int argument,
                             uint64_t mask, uint64_t value) {
    for (const int error : errors)
      all.push_back({call, group, error, kAnything, argument, mask, value});
  };

  add(kResources, kAnything, {SYS_mmap, SYS_mremap}, {ENOMEM});
  // Too many mappings, or no page tables. What only gives memory back (PROT_NONE, munmap) may split
  // a mapping too, but a caller that cannot give back has nothing to do but to go on.
  add(kResources, kAnything, {SYS_mprotect}, {ENOMEM});
  add(kResources, kAnything, {SYS_eventfd2, SYS_epoll_create1, SYS_memfd_create, SYS_pidfd_open},
      {EMFILE, ENFILE, ENOMEM});
  add(kResources, kAnything, {SYS_open, SYS_openat}, {EMFILE, ENFILE, ENOMEM});
  add(kResources, kAnything, {SYS_socket, SYS_socketpair, SYS_pipe2, SYS_dup}, {EMFILE, ENFILE});
  add(kResources, kSockets, {SYS_accept4, SYS_accept}, {EMFILE, ENFILE, ENOMEM, ENOBUFS});
  add(kResources, kAnything, {SYS_timer_create}, {EAGAIN, ENOMEM});
  add(kResources, kAnything, {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork}, {EAGAIN, ENOMEM});
  for (const uint64_t operation : {EPOLL_CTL_ADD, EPOLL_CTL_MOD}) {
    add_where(kResources, SYS_epoll_ctl, {ENOMEM, ENOSPC}, 1, kAll, operation);
  }
  add_where(kResources, SYS_fcntl, {EMFILE}, 1, kAll, 1030 /* F_DUPFD_CLOEXEC */);

  add(kInterrupts, kAnything, {SYS_epoll_pwait2, SYS_epoll_pwait, SYS_ppoll}, {EINTR});
  add(kInterrupts, kWaitable,
      {SYS_read, SYS_readv, SYS_preadv2, SYS_write, SYS_writev, SYS_pwritev2, SYS_recvfrom,
       SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_accept4, SYS_accept},
      {EINTR});
  add(kInterrupts, kAnything, {SYS_flock}, {EINTR});
  add_where(kInterrupts, SYS_wait4, {EINTR}, 2, WNOHANG, 0);
  add_where(kInterrupts, SYS_waitid, {EINTR}, 3, WNOHANG, 0);
  add_where(kInterrupts, SYS_futex, {EINTR}, 1, FUTEX_CMD_MASK, FUTEX_WAIT);
  add_where(kInterrupts, SYS_futex, {EINTR}, 1, FUTEX_CMD_MASK, FUTEX_WAIT_BITSET);

  add(kTransfers, kStreams, {SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg}, {ENOMEM});
  add(kTransfers, kStreams, {SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg}, {ENOBUFS, ENOMEM});
  add(kResets, kStreams,
      {SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_write, SYS_writev, SYS_sendto,
       SYS_sendmsg},
      {ECONNRESET});
  add(kTransfers, kSockets, {SYS_accept4, SYS_accept}, {ECONNABORTED});
  add(kTransfers, kFile, {SYS_write, SYS_writev, SYS_pwrite64}, {ENOSPC, EIO});
  add(kTransfers, kFile, {SYS_read, SYS_readv, SYS_pread64}, {EIO});
  add(kTransfers, kFile, {SYS_fsync, SYS_fdatasync}, {EIO, ENOSPC});

  add(kRings, kAnything, {SYS_io_uring_setup}, {EMFILE, ENOMEM, EPERM});
  add(kRings, kAnything, {SYS_io_uring_register}, {EINVAL});
  add_where(kRings, SYS_io_uring_enter, {EAGAIN, EBUSY, EINTR}, 1, kAll, 1 /* submission */);

  add(kShort, kPipe | kStream | kFile, {SYS_read, SYS_recvfrom}, {0});
  add(kShort, kPipe | kStreams | kFile, {SYS_write, SYS_sendto}, {0});
  return all;
}

}  // namespace

const std::vector<Fault>& catalogue() {
  static const std::vector<Fault> all = make();
  return all;
}

const char* call_name(int call) {
  static const struct {
    int call;
    const char* name;
  } kNames[] = {
      {SYS_mmap, "mmap"},
      {SYS_mremap, "mremap"},
      {SYS_mprotect, "mprotect"},
      {SYS_eventfd2, "eventfd2"},
      {SYS_epoll_create1, "epoll_create1"},
      {SYS_memfd_create, "memfd_create"},
      {SYS_pidfd_open, "pidfd_open"},
      {SYS_open, "open"},
      {SYS_openat, "openat"},
      {SYS_socket, "socket"},
      {SYS_socketpair, "socketpair"},
      {SYS_pipe2, "pipe2"},
      {SYS_dup, "dup"},
      {SYS_accept4, "accept4"},
      {SYS_accept, "accept"},
      {SYS_timer_create, "timer_create"},
      {SYS_clone, "clone"},
      {SYS_clone3, "clone3"},
      {SYS_fork, "fork"},
      {SYS_vfork, "vfork"},
      {SYS_epoll_ctl, "epoll_ctl"},
      {SYS_fcntl, "fcntl"},
      {SYS_epoll_pwait2, "epoll_pwait2"},
      {SYS_epoll_pwait, "epoll_pwait"},
      {SYS_ppoll, "ppoll"},
      {SYS_wait4, "wait4"},
      {SYS_waitid, "waitid"},
      {SYS_read, "read"},
      {SYS_readv, "readv"},
      {SYS_preadv2, "preadv2"},
      {SYS_write, "write"},
      {SYS_writev, "writev"},
      {SYS_pwritev2, "pwritev2"},
      {SYS_recvfrom, "recvfrom"},
      {SYS_recvmsg, "recvmsg"},
      {SYS_sendto, "sendto"},
      {SYS_sendmsg, "sendmsg"},
      {SYS_flock, "flock"},
      {SYS_futex, "futex"},
      {SYS_pwrite64, "pwrite64"},
      {SYS_pread64, "pread64"},
      {SYS_fsync, "fsync"},
      {SYS_fdatasync, "fdatasync"},
      {SYS_io_uring_setup, "io_uring_setup"},
      {SYS_io_uring_register, "io_uring_register"},
      {SYS_io_uring_enter, "io_uring_enter"},
  };
  for (const auto& entry : kNames) {
    if (entry.call == call) return entry.name;
  }
  return "?";
}

}  // namespace faults
