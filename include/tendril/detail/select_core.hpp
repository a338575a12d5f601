// Waiting for the first of several operations.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tendril/time.hpp"

namespace tendril::detail {

struct SelectOperations;  // what is different for queues, events, …; runtime/sync/select.cpp

struct SelectItem {
  const SelectOperations* operations = nullptr;
  void* object = nullptr;
  uint64_t value = 0;      // in: what to put; out: what was got
  bool shut_down = false;  // out: the queue was shut down
};

extern const SelectOperations* const kSelectGet;
extern const SelectOperations* const kSelectPut;
extern const SelectOperations* const kSelectEvent;
extern const SelectOperations* const kSelectAcquire;
extern const SelectOperations* const kSelectTask;

// Does exactly one of the operations, the first that can be done, by the order of waiting; of those
// that can be done at once one in turn. Returns its index, or `count` when the timeout
// has passed.
size_t select_items(SelectItem* items, size_t count, Duration timeout);

}  // namespace tendril::detail
