// Sockets of the Unix domain, TCP and UDP over the loopback interface.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

const std::vector<size_t> kSizes = {0, 1, 2, 5, 8, 16, 100, 1000, 4096};
const std::vector<long> kReceiveFlags = {MSG_PEEK,         MSG_DONTWAIT, MSG_DONTWAIT,
                                         MSG_WAITALL,      MSG_TRUNC,    MSG_OOB,
                                         MSG_CMSG_CLOEXEC, MSG_ERRQUEUE, MSG_NOSIGNAL};
const std::vector<long> kSendFlags = {MSG_DONTWAIT, MSG_DONTWAIT,  MSG_NOSIGNAL,
                                      MSG_NOSIGNAL, MSG_OOB,       MSG_MORE,
                                      MSG_EOR,      MSG_DONTROUTE, MSG_CONFIRM};

struct Address {
  sockaddr_storage value;
  socklen_t size;
  std::string text;
};

// Somebody's address, or a name in the program's directory.
Address some_address(Builder& b) {
  Address address;
  memset(&address.value, 0, sizeof address.value);
  if (b.random.chance(45)) {
    const int fd = b.world.pick(b.random, kTcp | kListener | kDatagram | kStream);
    address.size = sizeof address.value;
    if (fd >= 0 &&
        getsockname(fd, reinterpret_cast<sockaddr*>(&address.value), &address.size) == 0) {
      address.text = "{that of " + std::to_string(fd) + "}";
      return address;
    }
  }
  if (b.random.chance(15)) {
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&address.value, &inet, sizeof inet);
    address.size = sizeof inet;
    address.text = "{127.0.0.1:0}";
    return address;
  }
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  local.sun_path[0] = 's';
  local.sun_path[1] = static_cast<char>('0' + b.random.below(4));
  memcpy(&address.value, &local, sizeof local);
  address.size = offsetof(sockaddr_un, sun_path) + 3;
  address.text = std::string("{") + local.sun_path + "}";
  if (b.is_wild()) {
    address.value.ss_family = 77;
    address.text += "77";
  }
  return address;
}

Argument address_in() {
  return [](Builder& b) {
    const Address address = some_address(b);
    const long at = b.pointer(&address.value, address.size, Shown::kNever);
    b.last_size = address.size;
    b.call.text += address.text;
    return at;
  };
}
Argument address_size() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({0, 1, 2, 200, -1, INT_MAX})
                       : b.number(static_cast<long>(b.last_size));
  };
}
// Or none.
Argument address_in_or_null() {
  return [](Builder& b) {
    if (!b.random.chance(25)) {
      b.last_size = 0;
      return b.null();
    }
    return address_in()(b);
  };
}
Argument address_out() {
  return [](Builder& b) { return b.random.chance(60) ? b.null() : b.out({128}, Shown::kWhether); };
}
Argument address_size_out() {
  return [](Builder& b) {
    const int room = static_cast<int>(b.random.one_of(std::vector<long>{128, 128, 0, 2, 16, -1}));
    return b.structure(room, Shown::kBytes);
  };
}

// --- messages ---

struct Message {
  msghdr header;
  msghdr* place = nullptr;
};

void fill_message(Builder& b, bool sending, msghdr* header) {
  memset(header, 0, sizeof *header);
  unsigned count = 0;
  b.call.text += b.call.text.back() == '(' ? "{" : ", {";
  b.call.text += "(";
  header->msg_iov = reinterpret_cast<iovec*>(b.vectors(sending, &count));
  header->msg_iovlen = count;
  if (b.random.chance(b.wild / 3)) header->msg_iovlen = b.random.chance(50) ? 1025 : ~size_t{0};
  if (sending) {
    if (b.random.chance(20)) {
      const Address address = some_address(b);
      header->msg_name =
          reinterpret_cast<void*>(b.pointer(&address.value, address.size, Shown::kNever));
      header->msg_namelen = address.size;
      b.call.text += address.text;
    }
    if (b.random.chance(30)) {
      alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
      memset(control, 0, sizeof control);
      auto* c = reinterpret_cast<cmsghdr*>(control);
      const unsigned fds = 1 + b.random.below(2);
      c->cmsg_len = CMSG_LEN(fds * sizeof(int));
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      b.call.text += " rights(";
      for (unsigned i = 0; i < fds; ++i) {
        // An open socket sent through itself lives on only in garbage: rather something plain.
        const int fd =
            b.is_wild() ? 60 : b.world.pick(b.random, kPipeEnd | kFile | kEventfd | kDevice);
        memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
        b.number(fd);
      }
      b.call.text += ")";
      if (b.is_wild()) c->cmsg_len = b.random.chance(50) ? 1 : 4000;
      header->msg_controllen = CMSG_SPACE(fds * sizeof(int));
      header->msg_control =
          reinterpret_cast<void*>(b.pointer(control, header->msg_controllen, Shown::kNever));
    }
  } else {
    if (b.random.chance(30)) {
      header->msg_name = reinterpret_cast<void*>(b.out({128}, Shown::kWhether));
      header->msg_namelen = b.is_wild() ? static_cast<socklen_t>(-1) : 128;
    }
    if (b.random.chance(50)) {
      header->msg_control =
          reinterpret_cast<void*>(b.out({CMSG_SPACE(2 * sizeof(int))}, Shown::kBytes));
      header->msg_controllen = b.random.one_of(std::vector<size_t>{24, 24, 24, 16, 20, 0, 3});
    }
  }
  b.call.text += ")}";
}

// What came with a message of which the header lies there.
void note_rights(World& world, const msghdr* header) {
  if (header == nullptr || header->msg_controllen < sizeof(cmsghdr) ||
      header->msg_control == nullptr)
    return;
  auto copy = *header;
  for (cmsghdr* c = CMSG_FIRSTHDR(&copy); c != nullptr; c = CMSG_NXTHDR(&copy, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
      continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      world.opened(fd, world.make_object(kDevice));
    }
  }
}

std::string shown_header(const msghdr* header) {
  if (header == nullptr) return {};
  char text[96];
  snprintf(text, sizeof text, " namelen=%u controllen=%zu flags=%#x", header->msg_namelen,
           header->msg_controllen, static_cast<unsigned>(header->msg_flags));
  return text;
}

Argument message(bool sending) {
  return [=](Builder& b) {
    msghdr header;
    fill_message(b, sending, &header);
    b.call.takes_number = !sending;
    const long at = b.structure(header, Shown::kNever);  // it is full of addresses
    const auto* place = reinterpret_cast<const msghdr*>(b.last_chunk);
    if (!sending && !b.last_at_edge) {
      b.call.after = [&world = b.world, place](long result) {
        if (result >= 0) note_rights(world, place);
      };
      b.call.also_shown = [place](long) { return shown_header(place); };
    }
    return at;
  };
}

Argument messages(bool sending) {
  return [=](Builder& b) {
    const unsigned count = b.random.one_of(std::vector<unsigned>{0, 1, 2, 2, 3});
    b.call.takes_number = !sending;
    std::vector<mmsghdr> list(count);
    for (mmsghdr& each : list) {
      fill_message(b, sending, &each.msg_hdr);
      each.msg_len = 0xa5a5a5a5;
    }
    const long at = b.pointer(list.data(), count * sizeof(mmsghdr), Shown::kNever);
    const auto* place = reinterpret_cast<const mmsghdr*>(b.last_chunk);
    b.last_size = count;
    if (place != nullptr && !b.last_at_edge) {
      b.call.also_shown = [place, count, sending](long result) {
        std::string text;
        for (unsigned i = 0; i < count; ++i) {
          if (!sending && i < static_cast<unsigned long>(result < 0 ? 0 : result)) {
            text += shown_header(&place[i].msg_hdr);
          }
          text += " len=" + std::to_string(place[i].msg_len);
        }
        return text;
      };
      if (!sending) {
        // An error after some messages is kept for the next call natively, green it is not
        // (docs/limits.md).
        const int object = b.world.object_of(b.call.fds[0]);
        b.call.after = [&world = b.world, place, count, object](long result) {
          if (object >= 0 && result > 0 && result < static_cast<long>(count))
            world.object(object).spoiled = true;
          for (long i = 0; i < result && i < static_cast<long>(count); ++i)
            note_rights(world, &place[i].msg_hdr);
        };
      }
    }
    return at;
  };
}
Argument message_count() {
  return [](Builder& b) { return b.number(static_cast<long>(b.last_size)); };
}

void accepts(Builder& b) {
  b.call.in_order = true;
  b.call.takes_number = b.call.holds_number = true;
  b.call.after = [&world = b.world](long result) {
    if (result < 0) return;
    sockaddr_storage name;
    socklen_t size = sizeof name;
    getsockname(static_cast<int>(result), reinterpret_cast<sockaddr*>(&name), &size);
    world.opened(static_cast<int>(result),
                 world.make_object(name.ss_family == AF_INET ? kTcp : kStream));
  };
}

void makes_socket(Builder& b) {
  const long domain = b.call.arguments[0];
  const long type = b.call.arguments[1] & 15;
  makes(type == SOCK_DGRAM                        ? kDatagram
        : type == SOCK_SEQPACKET                  ? kSequenced
        : domain == AF_INET || domain == AF_INET6 ? kTcp
                                                  : kStream)(b);
}

void makes_sockets(Builder& b) {
  const long type = b.call.arguments[1] & 15;
  const unsigned kind = type == SOCK_DGRAM       ? kDatagram
                        : type == SOCK_SEQPACKET ? kSequenced
                                                 : kStream;
  b.call.takes_number = true;
  const auto* pair = reinterpret_cast<const int*>(b.last_chunk);
  b.call.after = [&world = b.world, kind, pair](long result) {
    if (result != 0 || pair == nullptr) return;
    world.opened(pair[0], world.make_object(kind));
    world.opened(pair[1], world.make_object(kind));
  };
}

void listens(Builder& b) {
  b.call.after = [&world = b.world, fd = b.call.fds[0]](long result) {
    const int object = world.object_of(fd);
    if (result == 0 && object >= 0) world.object(object).kind = kListener;
  };
}

// A limit of time for transfers: short, so that whoever waits can be waited for.
CallSpec time_limit_of_socket(const char* name, long option, unsigned weight) {
  return {
      name,
      SYS_setsockopt,
      kSocketFamily,
      weight,
      {fd(kSocket), constant(SOL_SOCKET), constant(option),
       [](Builder& b) {
         timeval limit = {0, static_cast<long>(b.random.one_of(std::vector<long>{0, 2000, 3000}))};
         if (b.is_wild()) limit = b.random.chance(50) ? timeval{0, 1000000} : timeval{-1, 0};
         return b.structure(limit, Shown::kNever);
       },
       size()},
      [](Builder& b) {
        const int fd = b.call.fds[0];
        b.call.after = [&world = b.world, fd](long result) {
          const int object = world.object_of(fd);
          if (result == 0 && object >= 0) world.object(object).ends_by_itself = true;
        };
      },
      nullptr};
}

CallSpec option_of_socket(const char* name, long level, long option, std::vector<long> values) {
  return {name,
          SYS_setsockopt,
          kSocketFamily,
          1,
          {fd(kSocket), constant(level), constant(option),
           [values](Builder& b) {
             return b.structure(static_cast<int>(b.random.one_of(values)), Shown::kNever);
           },
           size()},
          {},
          nullptr};
}

long libc_recv(const long* a) { return recv(int(a[0]), (void*)a[1], size_t(a[2]), int(a[3])); }
long libc_send(const long* a) { return send(int(a[0]), (void*)a[1], size_t(a[2]), int(a[3])); }
long libc_recvfrom(const long* a) {
  return recvfrom(int(a[0]), (void*)a[1], size_t(a[2]), int(a[3]), (sockaddr*)a[4],
                  (socklen_t*)a[5]);
}
long libc_sendto(const long* a) {
  return sendto(int(a[0]), (void*)a[1], size_t(a[2]), int(a[3]), (sockaddr*)a[4], socklen_t(a[5]));
}
long libc_recvmsg(const long* a) { return recvmsg(int(a[0]), (msghdr*)a[1], int(a[2])); }
long libc_sendmsg(const long* a) { return sendmsg(int(a[0]), (msghdr*)a[1], int(a[2])); }
long libc_accept(const long* a) { return accept(int(a[0]), (sockaddr*)a[1], (socklen_t*)a[2]); }
long libc_accept4(const long* a) {
  return accept4(int(a[0]), (sockaddr*)a[1], (socklen_t*)a[2], int(a[3]));
}
long libc_connect(const long* a) { return connect(int(a[0]), (sockaddr*)a[1], socklen_t(a[2])); }

constexpr unsigned kTransfers = kSocket & ~unsigned{kListener};

}  // namespace

const std::vector<CallSpec>& socket_calls() {
  static const std::vector<CallSpec> calls = {
      {"socket",
       SYS_socket,
       kSocketFamily,
       3,
       {one_of({AF_UNIX, AF_UNIX, AF_INET, AF_INET, 77}),
        one_of({SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM | SOCK_NONBLOCK,
                99}),
        one_of({0, 0, 0, 0, 99})},
       makes_socket,
       nullptr},
      {"socketpair",
       SYS_socketpair,
       kSocketFamily | kWaitFamily,
       6,
       {one_of({AF_UNIX, AF_UNIX, AF_UNIX, AF_UNIX, AF_INET}),
        one_of({SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM | SOCK_NONBLOCK,
                SOCK_STREAM | SOCK_CLOEXEC}),
        constant(0), out({8})},
       makes_sockets,
       nullptr},
      {"bind",
       SYS_bind,
       kSocketFamily,
       4,
       {fd(kSocket), address_in(), address_size()},
       {},
       nullptr},
      {"listen",
       SYS_listen,
       kSocketFamily,
       3,
       {fd(kStream | kTcp | kSequenced), one_of({0, 1, 5, -1})},
       listens,
       nullptr},
      {"connect",
       SYS_connect,
       kSocketFamily,
       6,
       {fd(kStream | kTcp | kDatagram | kSequenced, Way::kOut), address_in(), address_size()},
       {},
       libc_connect},
      {"accept",
       SYS_accept,
       kSocketFamily,
       5,
       {fd(kListener, Way::kIn), address_out(), address_size_out()},
       accepts,
       libc_accept},
      {"accept4",
       SYS_accept4,
       kSocketFamily,
       3,
       {fd(kListener, Way::kIn), address_out(), address_size_out(),
        flags_of({SOCK_NONBLOCK, SOCK_CLOEXEC})},
       accepts,
       libc_accept4},
      {"getsockname",
       SYS_getsockname,
       kSocketFamily,
       1,
       {fd(kSocket), out({128}, Shown::kWhether), address_size_out()},
       {},
       nullptr},
      {"getpeername",
       SYS_getpeername,
       kSocketFamily,
       1,
       {fd(kSocket), out({128}, Shown::kWhether), address_size_out()},
       {},
       nullptr},
      {"recv",
       SYS_recvfrom,
       kSocketFamily,
       10,
       {fd(kTransfers, Way::kIn), out(kSizes), size(), flags_of(kReceiveFlags), null(), null()},
       {},
       libc_recv},
      {"recvfrom",
       SYS_recvfrom,
       kSocketFamily,
       6,
       {fd(kTransfers, Way::kIn), out(kSizes), size(), flags_of(kReceiveFlags), address_out(),
        address_size_out()},
       {},
       libc_recvfrom},
      {"send",
       SYS_sendto,
       kSocketFamily,
       14,
       {fd(kTransfers, Way::kOut), in(kSizes), size(), flags_of(kSendFlags), null(), constant(0)},
       {},
       libc_send},
      {"sendto",
       SYS_sendto,
       kSocketFamily,
       8,
       {fd(kTransfers, Way::kOut), in(kSizes), size(), flags_of(kSendFlags), address_in_or_null(),
        address_size()},
       {},
       libc_sendto},
      {"recvmsg",
       SYS_recvmsg,
       kSocketFamily,
       10,
       {fd(kTransfers, Way::kIn), message(false), flags_of(kReceiveFlags)},
       {},
       libc_recvmsg},
      {"sendmsg",
       SYS_sendmsg,
       kSocketFamily,
       12,
       {fd(kTransfers, Way::kOut), message(true), flags_of(kSendFlags)},
       {},
       libc_sendmsg},
      {"recvmmsg",
       SYS_recvmmsg,
       kSocketFamily,
       5,
       {fd(kTransfers, Way::kIn), messages(false), message_count(),
        flags_of({MSG_DONTWAIT, MSG_WAITFORONE, MSG_PEEK, MSG_TRUNC}), time_limit()},
       {},
       nullptr},
      {"sendmmsg",
       SYS_sendmmsg,
       kSocketFamily,
       5,
       {fd(kTransfers, Way::kOut), messages(true), message_count(),
        flags_of({MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE})},
       {},
       nullptr},
      {"shutdown",
       SYS_shutdown,
       kSocketFamily,
       4,
       {fd(kSocket), one_of({SHUT_RD, SHUT_WR, SHUT_RDWR, 3, -1})},
       {},
       nullptr},
      time_limit_of_socket("setsockopt.RCVTIMEO", SO_RCVTIMEO, 3),
      time_limit_of_socket("setsockopt.SNDTIMEO", SO_SNDTIMEO, 2),
      option_of_socket("setsockopt.SNDBUF", SOL_SOCKET, SO_SNDBUF, {0, 4096, 20000}),
      option_of_socket("setsockopt.RCVBUF", SOL_SOCKET, SO_RCVBUF, {0, 4096, 20000}),
      option_of_socket("setsockopt.RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {0, 1, 50}),
      option_of_socket("setsockopt.OOBINLINE", SOL_SOCKET, SO_OOBINLINE, {0, 1}),
      option_of_socket("setsockopt.PASSCRED", SOL_SOCKET, SO_PASSCRED, {0, 0}),
      option_of_socket("setsockopt.PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF, {-1, 0, 2}),
      option_of_socket("setsockopt.NODELAY", IPPROTO_TCP, TCP_NODELAY, {1}),
      option_of_socket("setsockopt.unknown", SOL_SOCKET, 9999, {0}),
      {"getsockopt",
       SYS_getsockopt,
       kSocketFamily,
       3,
       {fd(kSocket), one_of({SOL_SOCKET, SOL_SOCKET, SOL_SOCKET, 99}),
        one_of({SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_RCVTIMEO, SO_SNDTIMEO, SO_SNDBUF, SO_RCVLOWAT,
                9999}),
        out({16}), address_size_out()},
       {},
       nullptr},
  };
  return calls;
}

}  // namespace differential
