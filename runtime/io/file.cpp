#include "tendril/file.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "tendril/offload.hpp"

namespace tendril {
namespace {

using Descriptor = std::shared_ptr<const int>;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Descriptor open_blocking(const std::string& path, int flags, mode_t mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) fail("open " + path);
  return Descriptor(new int(fd), [](const int* open) {
    ::close(*open);
    delete open;
  });
}

// The functions below block: they run offloaded.

std::string read_blocking(int fd, uint64_t offset, size_t bytes) {
  std::string data(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    const ssize_t part =
        ::pread(fd, data.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) fail("read");
    if (part == 0) break;
    done += static_cast<size_t>(part);
  }
  data.resize(done);
  return data;
}

void write_blocking(int fd, uint64_t offset, std::string_view data) {
  while (!data.empty()) {
    const ssize_t part = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) fail("write");
    data.remove_prefix(static_cast<size_t>(part));
    offset += static_cast<size_t>(part);
  }
}

uint64_t size_blocking(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) fail("fstat");
  return static_cast<uint64_t>(status.st_size);
}

Descriptor require_open(const Descriptor& fd) {
  if (fd == nullptr) {
    errno = EBADF;
    fail("file");
  }
  return fd;
}

}  // namespace

File::File(const std::string& path, int flags, mode_t mode)
    : fd_(offload([=] { return open_blocking(path, flags, mode); })),
      append_((flags & O_APPEND) != 0) {}

std::string File::read(size_t bytes) {
  std::string data = read_at(position_, bytes);
  position_ += data.size();
  return data;
}

std::string File::read_all() {
  std::string data = offload([fd = require_open(fd_), from = position_] {
    const uint64_t size = size_blocking(*fd);
    std::string all = read_blocking(*fd, from, size > from ? size - from : 0);
    // It may have grown, and the files of /proc have no size.
    for (;;) {
      const std::string more = read_blocking(*fd, from + all.size(), 64 * 1024);
      if (more.empty()) return all;
      all += more;
    }
  });
  position_ += data.size();
  return data;
}

void File::write(std::string_view data) {
  write_at(position_, data);
  position_ = append_ ? size() : position_ + data.size();
}

std::string File::read_at(uint64_t offset, size_t bytes) {
  return offload([=, fd = require_open(fd_)] { return read_blocking(*fd, offset, bytes); });
}

void File::write_at(uint64_t offset, std::string_view data) {
  offload(
      [=, fd = require_open(fd_), kept = std::string(data)] { write_blocking(*fd, offset, kept); });
}

uint64_t File::size() const {
  return offload([fd = require_open(fd_)] { return size_blocking(*fd); });
}

void File::truncate(uint64_t size) {
  offload([=, fd = require_open(fd_)] {
    if (::ftruncate(*fd, static_cast<off_t>(size)) != 0) fail("truncate");
  });
}

void File::sync() {
  offload([fd = require_open(fd_)] {
    if (::fdatasync(*fd) != 0) fail("fdatasync");
  });
}

void File::close() { fd_.reset(); }

std::string read_file(const std::string& path) { return File(path).read_all(); }

void write_file(const std::string& path, std::string_view data) {
  File(path, O_WRONLY | O_CREAT | O_TRUNC).write(data);
}

std::vector<std::string> list_directory(const std::string& path) {
  return offload([path] {
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) fail("opendir " + path);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  });
}

struct stat stat_file(const std::string& path) {
  return offload([path] {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) fail("stat " + path);
    return status;
  });
}

}  // namespace tendril
