// Files: the disk is waited for on libuv's thread pool, while other fibers run. (gevent:
// fileobject.FileObjectThread)
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tendril/time.hpp"

namespace tendril {

// A regular file with a position of its own. Move-only; closes itself. Everything may throw
// std::system_error. A fiber that is killed while it waits leaves the operation to finish by
// itself.
class File {
 public:
  File() noexcept = default;
  // As open(2); close-on-exec. With O_APPEND writes go to the end.
  explicit File(const std::string& path, int flags = O_RDONLY, mode_t mode = 0666);

  // From the position, which moves on; "" at the end of the file.
  std::string read(size_t bytes);
  std::string read_all();
  void write(std::string_view data);  // all of it
  // At an offset; the position stays.
  std::string read_at(uint64_t offset, size_t bytes);
  void write_at(uint64_t offset, std::string_view data);

  void seek(uint64_t position) noexcept { position_ = position; }
  uint64_t position() const noexcept { return position_; }
  uint64_t size() const;
  void truncate(uint64_t size);
  void sync();  // fdatasync
  void close();
  bool is_open() const noexcept { return fd_ != nullptr; }
  int fd() const noexcept { return fd_ == nullptr ? -1 : *fd_; }

 private:
  // Shared with operations under way: a descriptor number is not reused before they have ended.
  std::shared_ptr<const int> fd_;
  bool append_ = false;
  uint64_t position_ = 0;
};

// Whole files at once. write_file replaces the file's contents, in place.
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view data);
// The names in a directory but "." and "..", sorted.
std::vector<std::string> list_directory(const std::string& path);
struct stat stat_file(const std::string& path);

}  // namespace tendril
