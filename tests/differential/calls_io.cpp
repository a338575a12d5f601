// Transfers on descriptors, and descriptors themselves.
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

const std::vector<size_t> kSizes = {0, 1, 2, 5, 8, 8, 8, 16, 100, 1000, 4096, 4097, 70000};
const std::vector<size_t> kInputs = {0, 1, 3, 8, 8, 8, 8, 100, 1000, 4096, 5000, 70000};
constexpr unsigned kReadable = kAny & ~unsigned{kListener | kEpoll | kDirectory};

Argument vectors_and_count(bool input) {
  return [=](Builder& b) {
    unsigned count;
    const long at = b.vectors(input, &count);
    b.last_size = count;
    return at;
  };
}
Argument count() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({-1, 1025, INT_MAX, 0})
                       : b.number(static_cast<long>(b.last_size));
  };
}
Argument offset_value() { return one_of({0, 0, 1, 100, 4096, 5000, -1, LONG_MAX, LONG_MIN}); }
// A position that the call moves, or none.
Argument offset_pointer() {
  return [](Builder& b) {
    if (!b.random.chance(30)) return b.null();
    const long value = b.random.one_of(std::vector<long>{0, 1, 100, 4096, -1, LONG_MAX});
    return b.structure(value, Shown::kBytes);
  };
}

long libc_read(const long* a) { return read(int(a[0]), (void*)a[1], size_t(a[2])); }
long libc_write(const long* a) { return write(int(a[0]), (void*)a[1], size_t(a[2])); }
long libc_readv(const long* a) { return readv(int(a[0]), (iovec*)a[1], int(a[2])); }
long libc_writev(const long* a) { return writev(int(a[0]), (iovec*)a[1], int(a[2])); }
long libc_close(const long* a) { return close(int(a[0])); }
long libc_dup2(const long* a) { return dup2(int(a[0]), int(a[1])); }

void read_in_order(Builder& b) {
  b.call.in_order = (b.world.kind_of(b.call.fds[0]) & kPipeEnd) != 0;
}

void makes_pair(Builder& b, unsigned kind_read, unsigned kind_write, bool shared, const int* pair) {
  b.call.takes_number = true;
  b.call.after = [&world = b.world, kind_read, kind_write, shared, pair](long result) {
    if (result != 0 || pair == nullptr) return;
    const int first = world.make_object(kind_read);
    world.opened(pair[0], first);
    world.opened(pair[1], shared ? first : world.make_object(kind_write));
  };
}

void makes_pipe(Builder& b) {
  makes_pair(b, kPipeEnd, kPipeEnd, true, reinterpret_cast<int*>(b.last_chunk));
}

void closes(Builder& b) {
  b.call.after = [&world = b.world, fd = b.call.fds[0]](long result) {
    if (result == 0) world.closed(fd);
  };
}

void closes_range(Builder& b) {
  const auto first = static_cast<unsigned>(b.call.arguments[0]);
  const auto last = static_cast<unsigned>(b.call.arguments[1]);
  const bool mark = (b.call.arguments[2] & CLOSE_RANGE_CLOEXEC) != 0;
  if (!mark) {
    for (unsigned fd = first; fd <= last && fd < 100; ++fd) b.call.closes.push_back(int(fd));
  }
  b.call.after = [&world = b.world, first, last, mark](long result) {
    if (result != 0 || mark) return;
    for (unsigned fd = first; fd <= last && fd < 100; ++fd) world.closed(static_cast<int>(fd));
  };
}

void duplicates(Builder& b) {
  b.call.takes_number = true;
  b.call.after = [&world = b.world, fd = b.call.fds[0]](long result) {
    if (result < 0 || result == fd) return;
    const int object = world.object_of(fd);
    world.opened(static_cast<int>(result), object < 0 ? world.make_object(kDevice) : object);
  };
}

long lock_argument(Builder& b) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = static_cast<short>(b.random.one_of(std::vector<long>{F_RDLCK, F_WRLCK, F_UNLCK}));
  lock.l_whence = static_cast<short>(b.is_wild() ? 7 : SEEK_SET);
  lock.l_start = b.random.below(3) * 10;
  lock.l_len = b.is_wild() ? -1000 : b.random.below(20);
  if (b.is_wild()) lock.l_type = 77;
  return b.structure(lock, Shown::kWhether);
}

CallSpec fcntl_call(const char* name, long command, unsigned weight, Argument argument,
                    std::function<void(Builder&)> finish = {}) {
  return {name,
          SYS_fcntl,
          kIoFamily | kFileFamily,
          weight,
          {any_fd(), constant(command), std::move(argument)},
          std::move(finish),
          nullptr};
}

CallSpec ioctl_call(const char* name, long request, Argument argument) {
  return {name, SYS_ioctl, kIoFamily, 2, {any_fd(), constant(request), std::move(argument)},
          {},   nullptr};
}

Argument int_pointer() {
  return [](Builder& b) { return b.structure(static_cast<int>(b.random.below(2)), Shown::kBytes); };
}

}  // namespace

const std::vector<CallSpec>& io_calls() {
  static const std::vector<long> kRwf = {1, 2, 4, 8, 16};
  static const std::vector<CallSpec> calls = {
      {"read",
       SYS_read,
       kIoFamily | kSocketFamily | kFileFamily,
       20,
       {fd(kReadable, Way::kIn), out(kSizes), size()},
       read_in_order,
       libc_read},
      {"write",
       SYS_write,
       kIoFamily | kSocketFamily | kFileFamily,
       24,
       {fd(kReadable & ~unsigned{kSignalfd | kInotify | kTimerfd | kPidfd}, Way::kOut), in(kInputs),
        size()},
       {},
       libc_write},
      {"readv",
       SYS_readv,
       kIoFamily | kSocketFamily,
       6,
       {fd(kReadable, Way::kIn), vectors_and_count(false), count()},
       read_in_order,
       libc_readv},
      {"writev",
       SYS_writev,
       kIoFamily | kSocketFamily,
       6,
       {fd(kReadable, Way::kOut), vectors_and_count(true), count()},
       {},
       libc_writev},
      {"preadv",
       SYS_preadv,
       kFileFamily,
       2,
       {fd(kFile | kPipeEnd, Way::kIn), vectors_and_count(false), count(), offset_value(),
        constant(0)},
       {},
       nullptr},
      {"pwritev",
       SYS_pwritev,
       kFileFamily,
       2,
       {fd(kFile | kPipeEnd, Way::kOut), vectors_and_count(true), count(), offset_value(),
        constant(0)},
       {},
       nullptr},
      {"preadv2",
       SYS_preadv2,
       kFileFamily | kIoFamily,
       3,
       {fd(kReadable, Way::kIn), vectors_and_count(false), count(), one_of({-1, -1, 0, 10}),
        constant(-1), flags_of(kRwf)},
       {},
       nullptr},
      {"pwritev2",
       SYS_pwritev2,
       kFileFamily | kIoFamily,
       3,
       {fd(kReadable, Way::kOut), vectors_and_count(true), count(), one_of({-1, -1, 0, 10}),
        constant(-1), flags_of(kRwf)},
       {},
       nullptr},
      {"pread64",
       SYS_pread64,
       kFileFamily,
       3,
       {fd(kFile, Way::kIn), out(kSizes), size(), offset_value()},
       {},
       nullptr},
      {"pwrite64",
       SYS_pwrite64,
       kFileFamily,
       3,
       {fd(kFile, Way::kOut), in({0, 1, 8, 100, 5000}), size(), one_of({0, 1, 100, 4096, -1})},
       {},
       nullptr},
      {"sendfile",
       SYS_sendfile,
       kIoFamily | kSocketFamily | kFileFamily,
       4,
       {fd(kAny & ~unsigned{kTcp}, Way::kOut), fd(kFile, Way::kIn), offset_pointer(),
        one_of({0, 1, 100, 5000, 100000, -1})},
       {},
       nullptr},
      {"splice",
       SYS_splice,
       kIoFamily | kSocketFamily | kFileFamily,
       4,
       {fd(kPipeEnd | kFile | kSocket, Way::kIn), offset_pointer(),
        fd(kPipeEnd | kFile | kSocket, Way::kOut), offset_pointer(),
        one_of({0, 1, 100, 5000, 100000, -1}), one_of({0, 2, 2, 1, 4, 16})},
       {},
       nullptr},
      {"tee",
       SYS_tee,
       kIoFamily,
       2,
       {fd(kPipeEnd, Way::kIn), fd(kPipeEnd, Way::kOut), one_of({0, 1, 100, 5000, 100000}),
        one_of({0, 2, 2, 16})},
       {},
       nullptr},
      {"vmsplice",
       SYS_vmsplice,
       kIoFamily,
       2,
       {fd(kPipeEnd, Way::kOut),
        [](Builder& b) {
          // Pages that stay as they are: a pipe refers to them.
          static uint8_t stable[8192];
          memset(stable, 'v', sizeof stable);
          const iovec vector{stable, b.random.one_of(std::vector<size_t>{0, 1, 100, 4096, 8192})};
          const long at = b.structure(vector, Shown::kNever);
          b.last_size = 1;
          return at;
        },
        count(), one_of({0, 2, 2, 1, 16})},
       {},
       nullptr},
      {"dup",
       SYS_dup,
       kIoFamily | kSocketFamily | kWaitFamily | kFileFamily,
       6,
       {any_fd()},
       duplicates,
       nullptr},
      {"dup2",
       SYS_dup2,
       kIoFamily | kSocketFamily | kWaitFamily,
       6,
       {any_fd(), [](Builder& b) { return b.fd_to_replace(); }},
       duplicates,
       libc_dup2},
      {"dup3",
       SYS_dup3,
       kIoFamily,
       3,
       {any_fd(), [](Builder& b) { return b.fd_to_replace(); }, flags_of({O_CLOEXEC})},
       duplicates,
       nullptr},
      {"close",
       SYS_close,
       kIoFamily | kSocketFamily | kWaitFamily | kFileFamily,
       10,
       {fd_to_close()},
       closes,
       libc_close},
      {"close_range",
       SYS_close_range,
       kIoFamily,
       1,
       {one_of({3, 5, 8, 12, 20, 40}), one_of({2, 5, 8, 12, 20, 60}), one_of({0, 4, 4, 8})},
       closes_range,
       nullptr},
      {"pipe", SYS_pipe, kIoFamily | kWaitFamily, 3, {out({8})}, makes_pipe, nullptr},
      {"pipe2",
       SYS_pipe2,
       kIoFamily | kWaitFamily,
       6,
       {out({8}),
        one_of({0, 0, 0, O_NONBLOCK, O_CLOEXEC, O_DIRECT, O_DIRECT | O_NONBLOCK, O_APPEND})},
       makes_pipe,
       nullptr},
      {"eventfd2",
       SYS_eventfd2,
       kIoFamily | kWaitFamily,
       4,
       {one_of({0, 1, 3, 0xffffffff}), one_of({0, 0, EFD_SEMAPHORE, EFD_NONBLOCK, EFD_CLOEXEC, 7})},
       makes(kEventfd),
       nullptr},
      {"eventfd", SYS_eventfd, kIoFamily, 1, {one_of({0, 2})}, makes(kEventfd), nullptr},
      fcntl_call("fcntl.GETFD", F_GETFD, 2, constant(0)),
      fcntl_call("fcntl.SETFD", F_SETFD, 2, one_of({0, 1, 2, -1})),
      fcntl_call("fcntl.GETFL", F_GETFL, 4, constant(0)),
      fcntl_call("fcntl.SETFL", F_SETFL, 6,
                 one_of({0, 0, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_NONBLOCK | O_APPEND, -1})),
      fcntl_call("fcntl.DUPFD", F_DUPFD, 3, one_of({0, 3, 10, 50, -1, 1 << 30}), duplicates),
      fcntl_call("fcntl.DUPFD_CLOEXEC", F_DUPFD_CLOEXEC, 2, one_of({0, 3, 10, 50, -1}), duplicates),
      fcntl_call("fcntl.GETPIPE_SZ", F_GETPIPE_SZ, 1, constant(0)),
      fcntl_call("fcntl.SETPIPE_SZ", F_SETPIPE_SZ, 2, one_of({1, 4096, 8192, 65536, -1, 0})),
      fcntl_call("fcntl.GETOWN", F_GETOWN, 1, constant(0)),
      fcntl_call("fcntl.GETSIG", F_GETSIG, 1, constant(0)),
      fcntl_call("fcntl.GETLK", F_GETLK, 2, lock_argument),
      fcntl_call("fcntl.SETLK", F_SETLK, 3, lock_argument),
      fcntl_call("fcntl.SETLKW", F_SETLKW, 3, lock_argument),
      fcntl_call("fcntl.OFD_GETLK", F_OFD_GETLK, 1, lock_argument),
      fcntl_call("fcntl.OFD_SETLK", F_OFD_SETLK, 3, lock_argument),
      fcntl_call("fcntl.OFD_SETLKW", F_OFD_SETLKW, 3, lock_argument),
      fcntl_call("fcntl.GET_SEALS", F_GET_SEALS, 1, constant(0)),
      fcntl_call("fcntl.unknown", 9999, 1, constant(0)),
      ioctl_call("ioctl.FIONREAD", FIONREAD, int_pointer()),
      ioctl_call("ioctl.FIONBIO", FIONBIO, int_pointer()),
      ioctl_call("ioctl.FIOASYNC", FIOASYNC, int_pointer()),
      ioctl_call("ioctl.FIOCLEX", FIOCLEX, constant(0)),
      ioctl_call("ioctl.FIONCLEX", FIONCLEX, constant(0)),
      ioctl_call("ioctl.TCGETS", TCGETS, out({60})),
      ioctl_call("ioctl.TCSBRK", TCSBRK, one_of({0, 1})),
      ioctl_call("ioctl.TCSETSW", TCSETSW, [](Builder& b) { return b.named("low", 0x1000); }),
      ioctl_call("ioctl.TIOCGWINSZ", TIOCGWINSZ, out({8})),
      ioctl_call("ioctl.unknown", 0x12345678, constant(0)),
  };
  return calls;
}

}  // namespace differential
