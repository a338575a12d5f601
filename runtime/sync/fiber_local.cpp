#include "tendril/fiber_local.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "runtime/sync/locals.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {
namespace {

struct Local {
  unsigned long key;
  void* value;
  void (*destroy)(void*);
};

// Few per fiber: a search from the newest beats a table.
using Locals = std::vector<Local>;

Locals* locals_here() noexcept { return static_cast<Locals*>(current_record().locals); }

Local* find(unsigned long key) noexcept {
  Locals* locals = locals_here();
  if (locals == nullptr) return nullptr;
  const auto found = std::find_if(locals->rbegin(), locals->rend(),
                                  [key](const Local& local) { return local.key == key; });
  return found != locals->rend() ? &*found : nullptr;
}

}  // namespace

unsigned long new_local_key() noexcept {
  static std::atomic<unsigned long> keys{1};
  return keys.fetch_add(1, std::memory_order_relaxed);
}

void* find_local(unsigned long key) noexcept {
  const Local* local = find(key);
  return local != nullptr ? local->value : nullptr;
}

void set_local(unsigned long key, void* value, void (*destroy)(void*)) {
  FiberRecord& record = current_record();
  if (record.locals == nullptr) record.locals = new Locals;
  static_cast<Locals*>(record.locals)->push_back({key, value, destroy});
}

void drop_local(unsigned long key) noexcept {
  Local* local = find(key);
  if (local == nullptr) return;
  const Local dropped = *local;
  Locals& locals = *locals_here();
  locals.erase(locals.begin() + (local - locals.data()));
  dropped.destroy(dropped.value);
}

void destroy_locals(FiberRecord& record) noexcept {
  auto* locals = static_cast<Locals*>(record.locals);
  if (locals == nullptr) return;
  while (!locals->empty()) {  // a destructor may make new ones
    const Local last = locals->back();
    locals->pop_back();
    last.destroy(last.value);
  }
  record.locals = nullptr;
  delete locals;
}

}  // namespace tendril::detail
