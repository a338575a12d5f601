// sendfile(2)
#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/nonblocking_moment.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

long send_without_waiting(const Transfer& transfer, Transfer& input, const long* a,
                          size_t done) noexcept {
  if (const long closed = keep_up(input); closed != 0) return closed;
  const NonblockingMoment moment(transfer.fd, transfer.facts);
  return rt::raw_syscall_uninterrupted(SYS_sendfile, transfer.fd, input.fd, a[2],
                                       a[3] - static_cast<long>(done));
}

// A signal of ours ends it early where no signal of the program's would have: it goes on. (What is
// short because the input has ended is followed by nothing.)
long send_to_file(const Call& call) noexcept {
  Call rest = call;
  const long total = call.arguments[3];
  long done = pass(call);
  while (done > 0 && done < total && !signals_may_wait(rt::current_worker_unchecked())) {
    rest.arguments[3] = total - done;
    const long more = pass(rest);
    if (more <= 0) break;
    done += more;
  }
  return done;
}

}  // namespace

long sys_sendfile(Call& call) {
  const long* a = call.arguments;  // out, in, offset or null, count
  descriptors().stop_telling(static_cast<int>(a[0]));
  Transfer transfer;
  if (begin_transfer(static_cast<int>(a[0]), rt::Direction::kWrite, &transfer) != 0) {
    return pass(call);
  }
  const Facts& facts = transfer.facts;
  if (facts.kind == FdKind::kFile) return send_to_file(call);
  if (facts.nonblocking) return pass(call);
  // What may have to connect first waits for that, too.
  if (facts.kind != FdKind::kStream || facts.shared_outside || facts.puts_off_connect) {
    return sys_offloaded(call);
  }
  Transfer input;
  if (begin_transfer(static_cast<int>(a[1]), rt::Direction::kRead, &input) != 0) return -EBADF;

  // The kernel moves the offset, ours or the file's own, with every part: what remains is the
  // count.
  const auto total = static_cast<size_t>(a[3]);
  size_t done = 0;
  const auto attempt = [&] { return send_without_waiting(transfer, input, a, done); };
  for (;;) {
    long result = attempt();  // tells a bad argument even where there is no room
    if (result == -EAGAIN) {
      result = hold(input);
      if (result == 0) result = blocking_transfer(transfer, attempt);
    }
    if (result < 0) return end_transfer(transfer, result, done);
    done += static_cast<size_t>(result);
    if (done >= total || result == 0) return static_cast<long>(done);
  }
}

}  // namespace tendril::kernel
