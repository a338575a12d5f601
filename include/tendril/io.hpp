// Descriptors: calls that look blocking and let other fibers run. (gevent: os.tp_read,
// socket.wait_*)
//
// A call is tried first and the fiber waits only if it would block; O_NONBLOCK is neither needed
// nor set. Errors are std::system_error with the kernel's errno; a timeout is TimeoutError and
// leaves the descriptor as it was. Close what these calls have used with io::close: whoever waits
// on the descriptor gets EBADF.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>

#include "tendril/time.hpp"

namespace tendril::io {

// Up to `bytes`; 0 at the end of the stream.
size_t read(int fd, void* buffer, size_t bytes, Duration timeout = kForever);
// Exactly `bytes`, unless the stream ends before: returns how many.
size_t read_all(int fd, void* buffer, size_t bytes, Duration timeout = kForever);

// Writes some, returns how many. A broken pipe is EPIPE, never a signal.
size_t write(int fd, const void* buffer, size_t bytes, Duration timeout = kForever);
// All of it. After an error it is not known how much was written.
void write_all(int fd, const void* buffer, size_t bytes, Duration timeout = kForever);

// The new descriptor is close-on-exec.
int accept(int fd, sockaddr* address = nullptr, socklen_t* length = nullptr,
           Duration timeout = kForever);
void connect(int fd, const sockaddr* address, socklen_t length, Duration timeout = kForever);

void close(int fd);

// Wait until a read or write would not block (or would fail); false when the timeout passes first.
// For descriptors that belong to other libraries: they may be closed by anybody afterwards.
bool wait_read(int fd, Duration timeout = kForever);
bool wait_write(int fd, Duration timeout = kForever);

}  // namespace tendril::io
