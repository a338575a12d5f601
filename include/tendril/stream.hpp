// Streams of bytes: what sockets, pipes and TLS connections have in common. (gevent: socket.recv,
// sendall, makefile)
//
// One fiber may read while another writes; two that read at once, or write at once, is
// ConcurrentUse.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tendril/time.hpp"

namespace tendril {

class Stream {
 public:
  virtual ~Stream() = default;

  // Up to `bytes`, as soon as there are any; 0 at the end of the stream. Throws TimeoutError,
  // std::system_error.
  virtual size_t read(void* buffer, size_t bytes) = 0;
  // All of it. After an error it is not known how much was written. A broken pipe is EPIPE.
  virtual void write(const void* data, size_t bytes) = 0;
  void write(std::string_view data) { write(data.data(), data.size()); }

  // For each read and each write from now on; kForever at first.
  virtual void set_timeout(Duration timeout) = 0;
  virtual Duration timeout() const = 0;

  // The peer reads to the end.
  virtual void shutdown_write() = 0;
  // Our own reads end once what has come is read; wakes who waits in one.
  virtual void shutdown_read() = 0;
  // Wakes who waits, with EBADF. Again is harmless.
  virtual void close() = 0;

 protected:
  Stream() = default;
  Stream(Stream&&) = default;
  Stream& operator=(Stream&&) = default;
};

// A Stream on a descriptor, which it owns.
class FdStream : public Stream {
 public:
  FdStream() noexcept = default;
  // Takes the descriptor over.
  explicit FdStream(int fd) noexcept : fd_(fd) {}
  FdStream(FdStream&& other) noexcept;
  FdStream& operator=(FdStream&& other) noexcept;
  ~FdStream() override;

  using Stream::write;
  size_t read(void* buffer, size_t bytes) override;
  void write(const void* data, size_t bytes) override;
  void set_timeout(Duration timeout) override { timeout_ = timeout; }
  Duration timeout() const override { return timeout_; }
  void shutdown_write() override;
  void shutdown_read() override;
  void close() override;

  int fd() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  // Gives the descriptor away.
  int release() noexcept;

 private:
  int fd_ = -1;
  bool reading_ = false;
  bool writing_ = false;
  Duration timeout_ = kForever;
};

// Reads ahead, for protocols of lines and of lengths. The stream must live as long.
class StreamReader {
 public:
  explicit StreamReader(Stream& stream, size_t ahead = 16 * 1024)
      : stream_(stream), ahead_(ahead) {}

  // A line without its "\n" or "\r\n"; false at the end of the stream. The last line may lack its
  // end. Throws std::length_error beyond `longest` bytes.
  bool read_line(std::string& line, size_t longest = 64 * 1024);
  // Exactly so many, unless the stream ends before.
  std::string read_exactly(size_t bytes);
  // To the end of the stream.
  std::string read_all();
  // Up to `bytes`, at least one; 0 at the end.
  size_t read(void* buffer, size_t bytes);

 private:
  bool fill();

  Stream& stream_;
  const size_t ahead_;
  std::string buffer_;
  size_t begin_ = 0;  // of what has not been given out
};

}  // namespace tendril
