// A file open for reading, closed at the end.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace tendril::command {

class File {
 public:
  // Test the result: false where it could not be opened, and errno says why. Never blocks on a
  // FIFO.
  static File open(const std::string& path) {
    return File(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  }
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  explicit operator bool() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }

  // The first bytes, fewer where the file is shorter or cannot be read.
  std::string head(size_t bytes) const {
    std::string text(bytes, '\0');
    ssize_t size = ::pread(fd_, text.data(), bytes, 0);
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return text;
  }

 private:
  explicit File(int fd) noexcept : fd_(fd) {}
  int fd_;
};

}  // namespace tendril::command
