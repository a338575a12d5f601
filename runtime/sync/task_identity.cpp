// Names and small numbers of tasks.
#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/hub/park.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/detail/task.hpp"

namespace tendril::detail {
namespace {

rt::SpinLock idents_lock;
rt::SpinLock names_lock;    // the strings that tasks point at; after a record's lock
uint64_t* taken = nullptr;  // a bit for each ident - 1; guarded by idents_lock
size_t taken_words = 0;

uint32_t take_ident() {
  rt::SpinGuard guard(idents_lock);
  size_t word = 0;
  while (word < taken_words && taken[word] == UINT64_MAX) ++word;
  if (word == taken_words) {
    const size_t words = std::max<size_t>(16, taken_words * 2);
    auto* grown = static_cast<uint64_t*>(rt::runtime_reallocate(taken, words * sizeof *taken));
    if (grown == nullptr) throw std::bad_alloc();
    std::memset(grown + taken_words, 0, (words - taken_words) * sizeof *taken);
    taken = grown;
    taken_words = words;
  }
  const auto bit = static_cast<size_t>(std::countr_one(taken[word]));
  taken[word] |= uint64_t{1} << bit;
  return static_cast<uint32_t>(word * 64 + bit + 1);
}

void free_ident(uint32_t ident) noexcept {
  rt::SpinGuard guard(idents_lock);
  taken[(ident - 1) / 64] &= ~(uint64_t{1} << ((ident - 1) % 64));
}

}  // namespace

uint32_t ident_of_task(Task* task) {
  uint32_t ident = task->ident.load(std::memory_order_acquire);
  if (ident != 0) return ident;
  const uint32_t mine = take_ident();
  if (task->ident.compare_exchange_strong(ident, mine)) return mine;
  free_ident(mine);
  return ident;
}

void identities_reset_after_fork() noexcept {
  idents_lock.reset_after_fork();
  names_lock.reset_after_fork();
}

void give_back_ident(Task& task) noexcept {
  // Nobody else refers to the task any more.
  if (const uint32_t ident = task.ident.load(std::memory_order_relaxed); ident != 0) {
    free_ident(ident);
  }
}

std::string name_of_task(const Task* task) {
  char copy[256];  // nothing is allocated under the lock
  size_t length = 0;
  {
    // Not the record's: who looks from elsewhere would withdraw its favour.
    rt::SpinGuard guard(names_lock);
    if (task->name != nullptr) length = task->name->copy(copy, sizeof copy);
  }
  return length > 0 ? std::string(copy, length) : "fiber " + std::to_string(task->number);
}

void name_fiber(rt::Fiber& fiber, std::string_view name) noexcept {
  const size_t length = std::min(name.size(), sizeof fiber.name - 1);
  std::memcpy(fiber.name, name.data(), length);
  fiber.name[length] = '\0';
}

void name_task(Task* task, std::string_view name) {
  auto* fresh = new std::string(name);
  {
    RecordGuard guard(task->record);
    {
      rt::SpinGuard names(names_lock);
      std::swap(task->name, fresh);
    }
    if (auto* fiber = static_cast<rt::Fiber*>(task->record.fiber)) name_fiber(*fiber, name);
  }
  delete fresh;
}

}  // namespace tendril::detail
