// A copy of the program's iovec array that can be advanced over what was transferred.
#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <climits>
#include <cstddef>

#include "interpose/kernel/user_memory.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {

class IoVectors {
 public:
  IoVectors() = default;
  ~IoVectors() {
    if (vectors_ != inline_) rt::runtime_free(vectors_);
  }
  IoVectors(const IoVectors&) = delete;
  IoVectors& operator=(const IoVectors&) = delete;

  // 0, -EINVAL, -EFAULT or -ENOMEM, as from the kernel.
  long load(const iovec* user, long count) noexcept {
    if (count < 0 || count > IOV_MAX) return -EINVAL;
    if (count > kInline) {
      vectors_ =
          static_cast<iovec*>(rt::runtime_allocate(static_cast<size_t>(count) * sizeof(iovec)));
      if (vectors_ == nullptr) {
        vectors_ = inline_;
        return -ENOMEM;
      }
    }
    count_ = static_cast<int>(count);
    if (copy_in_bytes(vectors_, user, static_cast<size_t>(count) * sizeof(iovec)) != 0) {
      return -EFAULT;
    }
    for (int i = 0; i < count_; ++i) {
      if (static_cast<ssize_t>(vectors_[i].iov_len) < 0) return -EINVAL;
      if (is_impossible_range(vectors_[i].iov_base, vectors_[i].iov_len)) return -EFAULT;
      total_ += vectors_[i].iov_len;
    }
    return 0;
  }

  // Bytes in all vectors as loaded.
  size_t total() const noexcept { return total_; }

  // Makes the array describe what follows the first `done` bytes. `done` never goes back.
  void skip_to(size_t done) noexcept {
    size_t skip = done - done_;
    done_ = done;
    while (first_ < count_ && skip >= vectors_[first_].iov_len) {
      skip -= vectors_[first_++].iov_len;
    }
    if (first_ < count_) {
      vectors_[first_].iov_base = static_cast<char*>(vectors_[first_].iov_base) + skip;
      vectors_[first_].iov_len -= skip;
    }
  }

  iovec* data() noexcept { return vectors_ + first_; }
  int count() const noexcept { return count_ - first_; }

 private:
  static constexpr int kInline = 8;
  iovec inline_[kInline];
  iovec* vectors_ = inline_;
  int count_ = 0;
  int first_ = 0;
  size_t total_ = 0;
  size_t done_ = 0;
};

}  // namespace tendril::kernel
