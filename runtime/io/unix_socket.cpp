#include "tendril/unix_socket.hpp"

#include <cstring>

#include "runtime/io/attempt.hpp"
#include "tendril/tcp.hpp"

namespace tendril {

SocketStream connect_unix(std::string_view path, Duration timeout) {
  return connect(SocketAddress::local(path), timeout);
}

Listener listen_unix(std::string_view path, const ListenOptions& options) {
  return Listener(SocketAddress::local(path), options);
}

namespace {

// A message of one byte that carries one descriptor.
struct Parcel {
  Parcel() noexcept {
    vector = {&byte, 1};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  char byte = 0;
  iovec vector{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
};

}  // namespace

void send_descriptor(SocketStream& stream, int fd) {
  Parcel parcel;
  cmsghdr* header = CMSG_FIRSTHDR(&parcel.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  const auto attempt = [&] {
    return rt::raw_syscall(SYS_sendmsg, stream.fd(), &parcel.message, MSG_DONTWAIT | MSG_NOSIGNAL);
  };
  io::retry(stream.fd(), io::Direction::kWrite, stream.timeout(), "send_descriptor", attempt,
            attempt);
}

int receive_descriptor(SocketStream& stream) {
  Parcel parcel;
  const auto attempt = [&] {
    return rt::raw_syscall(SYS_recvmsg, stream.fd(), &parcel.message,
                           MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  };
  const long got = io::retry(stream.fd(), io::Direction::kRead, stream.timeout(),
                             "receive_descriptor", attempt, attempt);
  if (got == 0) return -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&parcel.message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) io::fail(EBADMSG, "receive_descriptor");
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

}  // namespace tendril
