// Waiting for descriptors: poll, select, epoll.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

Argument poll_array() {
  return [](Builder& b) {
    const unsigned count = b.random.one_of(std::vector<unsigned>{0, 1, 1, 2, 3, 8});
    std::vector<pollfd> list;
    b.call.text += b.call.text.back() == '(' ? "[(" : ", [(";
    for (unsigned i = 0; i < count; ++i) {
      pollfd each{};
      each.fd = static_cast<int>(b.fd(kAny & ~unsigned{kFile}, {}));
      each.events = static_cast<short>(b.flags_of({POLLIN, POLLIN, POLLOUT, POLLOUT, POLLPRI,
                                                   POLLRDHUP, POLLRDNORM, POLLWRNORM, POLLRDBAND}));
      each.revents = 0x5a5a;
      if ((each.events & (POLLOUT | POLLWRNORM)) != 0) b.claim(each.fd, Way::kOut);
      b.claim(each.fd, Way::kIn);  // a hang-up is told in any case
      list.push_back(each);
    }
    b.call.text += ")]";
    const long at = b.pointer(list.data(), count * sizeof(pollfd), Shown::kBytes);
    b.last_size = count;
    return at;
  };
}
Argument count() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({-1, INT_MAX, 1 << 21})
                       : b.number(static_cast<long>(b.last_size));
  };
}

constexpr int kHighestSelected = 64;

Argument descriptor_set(Way way) {
  return [=](Builder& b) {
    if (b.random.chance(35)) return b.null();
    uint64_t set[16] = {};
    b.call.text += ", [(";
    for (unsigned i = b.random.below(4); i > 0; --i) {
      int fd = b.world.pick(b.random, kAny & ~unsigned{kFile});
      if (b.is_wild()) fd = static_cast<int>(b.random.below(kHighestSelected));
      if (fd < 0 || fd >= kHighestSelected) continue;
      b.number(fd);
      b.call.fds.push_back(fd);
      b.claim(fd, way);
      set[fd / 64] |= uint64_t{1} << (fd % 64);
    }
    b.call.text += ")]";
    return b.pointer(set, sizeof set, Shown::kBytes);
  };
}
Argument highest() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({0, -1, 1, 5, 1024, INT_MAX}) : b.number(kHighestSelected);
  };
}

// Null, or one that unblocks and blocks while the call waits.
Argument mask() {
  return [](Builder& b) {
    if (b.random.chance(50)) return b.null();
    // A pending signal that a signalfd could read and a thread could take for the time of the call:
    // natively both see it, green it is the thread's (docs/limits.md).
    const uint64_t set = b.random_set() | b.world.read_by_signalfds;
    const long at = b.signal_set(set);
    if (b.last_chunk != nullptr) b.call.temporary_mask = set;
    return at;
  };
}
Argument mask_size() {
  return [](Builder& b) { return b.is_wild() ? b.one_of({0, 4, 16, 128}) : b.number(8); };
}
Argument mask_and_size() {
  return [](Builder& b) {
    if (b.random.chance(40)) return b.null();
    struct {
      long set;
      long size;
    } packed;
    b.call.text += b.call.text.back() == '(' ? "" : ", <(";
    packed.set = mask()(b);
    packed.size = mask_size()(b);
    b.call.text += ")>";
    return b.structure(packed, Shown::kNever);
  };
}

const std::vector<long> kEpollEvents = {EPOLLIN,      EPOLLIN,    EPOLLOUT, EPOLLET,
                                        EPOLLONESHOT, EPOLLRDHUP, EPOLLPRI};

Argument epoll_event_in() {
  return [](Builder& b) {
    epoll_event event;
    memset(&event, 0, sizeof event);
    b.call.text += ", {(";
    event.events = static_cast<uint32_t>(b.flags_of(kEpollEvents));
    b.call.text += ")}";
    event.events &= ~uint32_t{EPOLLWAKEUP};
    event.data.u64 = b.random.below(1000);
    return b.structure(event, Shown::kNever);
  };
}

// The set now waits for its member.
void joins(Builder& b) {
  const int set = b.world.object_of(b.call.fds[0]);
  const int member = b.world.object_of(b.call.fds[1]);
  b.call.after = [&world = b.world, set, member](long result) {
    if (result != 0 || set < 0 || member < 0) return;
    world.object(set).members.insert({member, Way::kIn});
    world.object(set).members.insert({member, Way::kOut});
    if (world.object(member).ends_by_itself) world.object(set).ends_by_itself = true;
  };
}

Argument events_out() { return out({12, 24, 48, 96}); }
Argument capacity() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({0, -1, INT_MIN, INT_MAX})
                       : b.number(static_cast<long>(b.last_size / 12));
  };
}
Argument set_fd() {
  return [](Builder& b) {
    const long chosen = b.fd(kEpoll, Way::kIn);
    return chosen;
  };
}

long libc_poll(const long* a) { return poll((pollfd*)a[0], nfds_t(a[1]), int(a[2])); }
long libc_select(const long* a) {
  return select(int(a[0]), (fd_set*)a[1], (fd_set*)a[2], (fd_set*)a[3], (timeval*)a[4]);
}
long libc_epoll_wait(const long* a) {
  return epoll_wait(int(a[0]), (epoll_event*)a[1], int(a[2]), int(a[3]));
}
long libc_epoll_ctl(const long* a) {
  return epoll_ctl(int(a[0]), int(a[1]), int(a[2]), (epoll_event*)a[3]);
}

}  // namespace

const std::vector<CallSpec>& wait_calls() {
  static const std::vector<CallSpec> calls = {
      {"poll",
       SYS_poll,
       kWaitFamily | kIoFamily | kSocketFamily,
       8,
       {poll_array(), count(), milliseconds()},
       {},
       libc_poll},
      {"ppoll",
       SYS_ppoll,
       kWaitFamily | kSignalFamily,
       6,
       {poll_array(), count(), time_limit(), mask(), mask_size()},
       {},
       nullptr},
      {"select",
       SYS_select,
       kWaitFamily,
       6,
       {highest(), descriptor_set(Way::kIn), descriptor_set(Way::kOut), descriptor_set(Way::kIn),
        [](Builder& b) { return b.timeval_relative(); }},
       // libc's looks at the time limit itself: a bad pointer is the program's own death.
       [](Builder& b) {
         b.call.raw_only = b.call.arguments[4] != 0 &&
                           b.room.name_of(static_cast<uintptr_t>(b.call.arguments[4])).empty();
       },
       libc_select},
      {"pselect6",
       SYS_pselect6,
       kWaitFamily | kSignalFamily,
       5,
       {highest(), descriptor_set(Way::kIn), descriptor_set(Way::kOut), descriptor_set(Way::kIn),
        time_limit(), mask_and_size()},
       {},
       nullptr},
      {"epoll_create",
       SYS_epoll_create,
       kWaitFamily,
       1,
       {one_of({1, 0, -1})},
       makes(kEpoll),
       nullptr},
      {"epoll_create1",
       SYS_epoll_create1,
       kWaitFamily,
       4,
       {one_of({0, EPOLL_CLOEXEC, 1})},
       makes(kEpoll),
       nullptr},
      {"epoll_ctl.ADD",
       SYS_epoll_ctl,
       kWaitFamily,
       14,
       {fd(kEpoll), constant(EPOLL_CTL_ADD), any_fd(), epoll_event_in()},
       joins,
       libc_epoll_ctl},
      {"epoll_ctl.MOD",
       SYS_epoll_ctl,
       kWaitFamily,
       5,
       {fd(kEpoll), constant(EPOLL_CTL_MOD), any_fd(), epoll_event_in()},
       {},
       nullptr},
      {"epoll_ctl.DEL",
       SYS_epoll_ctl,
       kWaitFamily,
       4,
       {fd(kEpoll), one_of({EPOLL_CTL_DEL, EPOLL_CTL_DEL, 9}), any_fd(), null()},
       {},
       nullptr},
      {"epoll_wait",
       SYS_epoll_wait,
       kWaitFamily,
       10,
       {set_fd(), events_out(), capacity(), milliseconds()},
       {},
       libc_epoll_wait},
      {"epoll_pwait",
       SYS_epoll_pwait,
       kWaitFamily | kSignalFamily,
       6,
       {set_fd(), events_out(), capacity(), milliseconds(), mask(), mask_size()},
       {},
       nullptr},
      {"epoll_pwait2",
       SYS_epoll_pwait2,
       kWaitFamily | kSignalFamily,
       5,
       {set_fd(), events_out(), capacity(), time_limit(), mask(), mask_size()},
       {},
       nullptr},
  };
  return calls;
}

}  // namespace differential
