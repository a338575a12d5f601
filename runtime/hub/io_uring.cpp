#include "runtime/hub/io_uring.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

void* map_ring(int fd, size_t size, off_t offset) noexcept {
  const long address = raw_syscall(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_POPULATE, fd, offset);
  return address < 0 && address > -4096 ? nullptr : reinterpret_cast<void*>(address);
}

}  // namespace

long IoUring::open(uint32_t entries, uint32_t completions, uint32_t flags) noexcept {
  io_uring_params parameters{};
  parameters.flags = flags | IORING_SETUP_CQSIZE;
  parameters.cq_entries = completions;
  const long fd = raw_syscall(SYS_io_uring_setup, entries, &parameters);
  if (fd < 0) return fd;
  fd_ = hide_descriptor(static_cast<int>(fd));
  if (map(parameters)) return 0;
  close();
  return -ENOMEM;
}

bool IoUring::map(const io_uring_params& p) noexcept {
  const size_t entries_end = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
  const size_t completions_end = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
  rings_size_ = entries_end > completions_end ? entries_end : completions_end;
  entries_size_ = p.sq_entries * sizeof(io_uring_sqe);
  rings_ = static_cast<char*>(map_ring(fd_, rings_size_, IORING_OFF_SQ_RING));
  entries_ = static_cast<io_uring_sqe*>(map_ring(fd_, entries_size_, IORING_OFF_SQES));
  if (rings_ == nullptr || entries_ == nullptr) return false;
  const auto word = [&](uint32_t offset) { return reinterpret_cast<uint32_t*>(rings_ + offset); };
  entry_count_ = p.sq_entries;
  entry_mask_ = *word(p.sq_off.ring_mask);
  entry_head_ = word(p.sq_off.head);
  entry_tail_ = word(p.sq_off.tail);
  entry_flags_ = word(p.sq_off.flags);
  completion_mask_ = *word(p.cq_off.ring_mask);
  completion_head_ = word(p.cq_off.head);
  completion_tail_ = word(p.cq_off.tail);
  completions_ = reinterpret_cast<io_uring_cqe*>(rings_ + p.cq_off.cqes);
  uint32_t* const order = word(p.sq_off.array);
  for (uint32_t i = 0; i < entry_count_; ++i) order[i] = i;
  return true;
}

void IoUring::close() noexcept {
  if (rings_ != nullptr) raw_syscall(SYS_munmap, rings_, rings_size_);
  if (entries_ != nullptr) raw_syscall(SYS_munmap, entries_, entries_size_);
  close_hidden_descriptor(fd_);
  *this = {};
}

bool IoUring::supports(uint8_t operation) const noexcept {
  constexpr unsigned kOperations = 64;
  alignas(io_uring_probe) char
      room[sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)] = {};
  const auto* probe = reinterpret_cast<const io_uring_probe*>(room);
  const long result =
      raw_syscall(SYS_io_uring_register, fd_, IORING_REGISTER_PROBE, room, kOperations);
  return result == 0 && operation < kOperations && operation <= probe->last_op &&
         (probe->ops[operation].flags & IO_URING_OP_SUPPORTED) != 0;
}

io_uring_sqe* IoUring::next_entry() noexcept {
  if (is_full()) return nullptr;
  io_uring_sqe* entry = &entries_[tail_ & entry_mask_];
  *entry = {};
  return entry;
}

}  // namespace tendril::rt
