#include "interpose/kernel/green_thread.hpp"

#include "runtime/hub/park.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// Each process starts at a place of its own: robust and priority-inheriting mutexes in shared
// memory hold tids, and two processes must not show the same one.
uint32_t ThreadTable::start_of_tids() noexcept {
  const auto pid = static_cast<uint32_t>(rt::raw_syscall(SYS_getpid));
  return (pid * 2654435761U) % kTidSpan;
}

constinit ThreadTable the_threads;

GreenThread* ThreadTable::create() noexcept { return rt::runtime_new<GreenThread>(); }

void ThreadTable::destroy(GreenThread* thread) noexcept {
  thread->pending.drop(~uint64_t{0});
  remember_affinity(&thread->scheduling, nullptr, 0);
  rt::runtime_delete(thread);
}

bool ThreadTable::insert_hash(GreenThread* thread) noexcept {
  auto* link = rt::runtime_new<HashLink>();
  if (link == nullptr) return false;
  HashLink*& bucket = buckets_[static_cast<uint32_t>(thread->tid) % kBuckets];
  *link = {thread, bucket};
  bucket = link;
  threads_.push_back(thread);
  const size_t count = count_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (count > peak_) peak_ = count;
  return true;
}

void ThreadTable::add(GreenThread* thread, int tid) noexcept {
  rt::SpinGuard guard(lock);
  thread->tid = tid;
  insert_hash(thread);
}

int ThreadTable::add_with_new_tid(GreenThread* thread) noexcept {
  rt::SpinGuard guard(lock);
  if (next_tid_ == 0) next_tid_ = start_of_tids();
  do {
    next_tid_ = (next_tid_ + 1) % kTidSpan;
    thread->tid = static_cast<int>(kFirstTid + next_tid_);
  } while (find(thread->tid) != nullptr);
  ++made_;
  return insert_hash(thread) ? thread->tid : -ENOMEM;
}

GreenThread* ThreadTable::find(int tid) noexcept {
  for (HashLink* link = buckets_[static_cast<uint32_t>(tid) % kBuckets]; link != nullptr;
       link = link->next) {
    if (link->thread->tid == tid) return link->thread;
  }
  return nullptr;
}

bool ThreadTable::is_tid_word(const uint32_t* word, uint32_t tid) noexcept {
  if (!could_be_tid(tid)) return false;
  rt::SpinGuard guard(lock);
  const GreenThread* thread = find(static_cast<int>(tid));
  return thread != nullptr && thread->clear_child_tid == word;
}

bool ThreadTable::remove(GreenThread* thread) noexcept {
  rt::SpinGuard guard(lock);
  HashLink** link = &buckets_[static_cast<uint32_t>(thread->tid) % kBuckets];
  while ((*link)->thread != thread) link = &(*link)->next;
  HashLink* gone = *link;
  *link = gone->next;
  rt::runtime_delete(gone);
  threads_.remove(thread);
  return count_.fetch_sub(1, std::memory_order_relaxed) == 1;
}

void ThreadTable::reset_after_fork() noexcept {
  // The other threads do not exist here. Their records are few bytes each and stay behind.
  lock.reset_after_fork();
  threads_.reset();
  static_assert(sizeof buckets_ % rt::kPageSize == 0);
  rt::clear_pages(buckets_, sizeof buckets_);
  next_tid_ = 0;
  count_ = 0;
  made_ = 0;
  peak_ = 0;
}

}  // namespace tendril::kernel
