// Unix sockets: connections by path, and descriptors passed over them. (gevent: socket.AF_UNIX)
#pragma once

#include <string_view>

#include "tendril/socket.hpp"

namespace tendril {

// "@name" is a name of the abstract space. Throws std::system_error, TimeoutError.
SocketStream connect_unix(std::string_view path, Duration timeout = kForever);
Listener listen_unix(std::string_view path, const ListenOptions& options = {});

// Passes a duplicate of the descriptor to the peer, with one byte of data.
void send_descriptor(SocketStream& stream, int fd);
// The descriptor that the peer has sent, close-on-exec; -1 at the end of the stream. Throws
// std::system_error (EBADMSG if there came data without one).
int receive_descriptor(SocketStream& stream);

}  // namespace tendril
