// A ring of the Linux kernel's (io_uring(7)) as it lies in memory: submissions and completions. Who
// uses it sees to it that one at a time does either.
#pragma once

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>

namespace tendril::rt {

class IoUring {
 public:
  // 0 or -errno: as io_uring_setup(2), or -ENOMEM. `flags`: IORING_SETUP_*.
  long open(uint32_t entries, uint32_t completions, uint32_t flags) noexcept;
  // The mappings and the descriptor. In the child of fork, of what is the parent's: no request is
  // handed over or taken back.
  void close() noexcept;
  bool is_open() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }

  // Whether the kernel knows the operation (IORING_OP_*).
  bool supports(uint8_t operation) const noexcept;

  // Zeroed, to be filled in and published; null if as many are published as the ring holds.
  io_uring_sqe* next_entry() noexcept;
  void publish() noexcept { store(entry_tail_, ++tail_); }
  // Precondition: the kernel has not seen the entry that was published last.
  void take_back() noexcept { store(entry_tail_, --tail_); }
  // What the kernel has not seen.
  uint32_t queued() const noexcept { return tail_ - load(entry_head_); }
  bool is_full() const noexcept { return queued() == entry_count_; }

  // IORING_SQ_*, as the kernel keeps them.
  uint32_t flags() const noexcept { return load(entry_flags_); }

  // Those that have come and were not consumed: from first_completion() up to end_of_completions().
  uint32_t first_completion() const noexcept { return *completion_head_; }
  uint32_t end_of_completions() const noexcept { return load(completion_tail_); }
  const io_uring_cqe& completion(uint32_t index) const noexcept {
    return completions_[index & completion_mask_];
  }
  void consume_up_to(uint32_t index) noexcept { store(completion_head_, index); }

 private:
  static uint32_t load(const uint32_t* word) noexcept {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
  }
  static void store(uint32_t* word, uint32_t value) noexcept {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
  }
  bool map(const io_uring_params& parameters) noexcept;

  int fd_ = -1;
  char* rings_ = nullptr;  // both, as the kernel lays them out
  size_t rings_size_ = 0;
  io_uring_sqe* entries_ = nullptr;
  size_t entries_size_ = 0;
  uint32_t entry_mask_ = 0;
  uint32_t entry_count_ = 0;
  uint32_t completion_mask_ = 0;
  uint32_t tail_ = 0;  // of the entries; ours to write
  // In rings_.
  uint32_t* entry_head_ = nullptr;  // the kernel's
  uint32_t* entry_tail_ = nullptr;
  uint32_t* entry_flags_ = nullptr;  // the kernel's
  uint32_t* completion_head_ = nullptr;
  uint32_t* completion_tail_ = nullptr;  // the kernel's
  io_uring_cqe* completions_ = nullptr;
};

}  // namespace tendril::rt
