#include "tendril/stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tendril/errors.hpp"
#include "tendril/io.hpp"

namespace tendril {
namespace {

// One fiber at a time, in one direction.
class Turn {
 public:
  Turn(bool& taken, const char* what) : taken_(taken) {
    if (taken_) throw ConcurrentUse(what);
    taken_ = true;
  }
  ~Turn() { taken_ = false; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool& taken_;
};

void shut_down(int fd, int how) {
  if (::shutdown(fd, how) != 0 && errno != ENOTCONN) {
    throw std::system_error(errno, std::generic_category(), "shutdown");
  }
}

}  // namespace

FdStream::FdStream(FdStream&& other) noexcept
    : Stream(std::move(other)), fd_(other.release()), timeout_(other.timeout_) {}

FdStream& FdStream::operator=(FdStream&& other) noexcept {
  if (this != &other) {
    FdStream old(std::exchange(fd_, other.release()));
    timeout_ = other.timeout_;
  }
  return *this;
}

FdStream::~FdStream() {
  try {
    FdStream::close();
  } catch (const std::system_error&) {
    // The descriptor is gone whatever close said; a destructor has nobody to tell.
  }
}

size_t FdStream::read(void* buffer, size_t bytes) {
  const Turn turn(reading_, "tendril: two fibers read from one stream");
  return io::read(fd_, buffer, bytes, timeout_);
}

void FdStream::write(const void* data, size_t bytes) {
  const Turn turn(writing_, "tendril: two fibers write to one stream");
  io::write_all(fd_, data, bytes, timeout_);
}

void FdStream::shutdown_write() { shut_down(fd_, SHUT_WR); }
void FdStream::shutdown_read() { shut_down(fd_, SHUT_RD); }

void FdStream::close() {
  if (fd_ >= 0) io::close(release());
}

int FdStream::release() noexcept { return std::exchange(fd_, -1); }

bool StreamReader::fill() {
  buffer_.erase(0, std::exchange(begin_, 0));
  const size_t before = buffer_.size();
  buffer_.resize(before + ahead_);
  size_t got = 0;
  try {
    got = stream_.read(buffer_.data() + before, ahead_);
  } catch (...) {
    buffer_.resize(before);  // what was there stays for the next call
    throw;
  }
  buffer_.resize(before + got);
  return got > 0;
}

bool StreamReader::read_line(std::string& line, size_t longest) {
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', begin_ + searched);
    const size_t length = (end == std::string::npos ? buffer_.size() : end) - begin_;
    if (length > longest) throw std::length_error("tendril: a line is too long");
    if (end != std::string::npos) {
      line.assign(buffer_, begin_, length);
      if (line.ends_with('\r')) line.pop_back();
      begin_ = end + 1;
      return true;
    }
    searched = length;
    if (!fill()) break;
  }
  if (begin_ == buffer_.size()) return false;
  line.assign(buffer_, begin_);
  begin_ = buffer_.size();
  return true;
}

std::string StreamReader::read_exactly(size_t bytes) {
  while (buffer_.size() - begin_ < bytes && fill()) {
  }
  std::string part = buffer_.substr(begin_, bytes);
  begin_ += part.size();
  return part;
}

std::string StreamReader::read_all() {
  while (fill()) {
  }
  std::string all = buffer_.substr(begin_);
  begin_ = buffer_.size();
  return all;
}

size_t StreamReader::read(void* buffer, size_t bytes) {
  if (begin_ == buffer_.size()) return stream_.read(buffer, bytes);
  const size_t part = std::min(bytes, buffer_.size() - begin_);
  std::memcpy(buffer, buffer_.data() + begin_, part);
  begin_ += part;
  return part;
}

}  // namespace tendril
