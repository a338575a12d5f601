// Doing the first of several operations that can be done. (Go's select; goes beyond gevent)
//
//   select(on_get(requests, [](Request r) { … }),
//          on_put(answers, answer, [] { … }),
//          on_event(stop, [] { … }),
//          on_timeout(5s, [] { … }));
#pragma once

#include <array>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tendril/detail/select_core.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/queue.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {

namespace detail {

template <typename T, typename Handler>
struct GetCase {
  TypedQueue<T>& queue;
  Handler handler;
  SelectItem item() { return {kSelectGet, &queue.core()}; }
  void done(SelectItem& item) {
    if (item.shut_down) throw ShutDown();
    handler(Packing<T>::unpack(item.value));
  }
  void not_done(SelectItem&) {}
};

template <typename T, typename Handler>
struct PutCase {
  TypedQueue<T>& queue;
  T value;
  Handler handler;
  SelectItem item() { return {kSelectPut, &queue.core(), Packing<T>::pack(std::move(value))}; }
  void done(SelectItem& item) {
    if (item.shut_down) {
      Packing<T>::drop(item.value);
      throw ShutDown();
    }
    handler();
  }
  void not_done(SelectItem& item) { Packing<T>::drop(item.value); }
};

template <typename Handler>
struct PlainCase {
  const SelectOperations* operations;
  void* object;
  Handler handler;
  SelectItem item() { return {operations, object}; }
  void done(SelectItem&) { handler(); }
  void not_done(SelectItem&) {}
};

template <typename Handler>
struct TimeoutCase {
  Duration timeout;
  Handler handler;
};

template <typename T>
struct IsTimeoutCase : std::false_type {};
template <typename Handler>
struct IsTimeoutCase<TimeoutCase<Handler>> : std::true_type {};

}  // namespace detail

// The handler gets the item.
template <typename T, typename Handler>
auto on_get(detail::TypedQueue<T>& queue, Handler handler) {
  return detail::GetCase<T, Handler>{queue, std::move(handler)};
}
template <typename T, typename Value, typename Handler>
auto on_put(detail::TypedQueue<T>& queue, Value&& value, Handler handler) {
  return detail::PutCase<T, Handler>{queue, T(std::forward<Value>(value)), std::move(handler)};
}
template <typename Handler>
auto on_event(Event& event, Handler handler) {
  return detail::PlainCase<Handler>{detail::kSelectEvent, &event, std::move(handler)};
}
// Takes a unit.
template <typename Handler>
auto on_acquire(Semaphore& semaphore, Handler handler) {
  return detail::PlainCase<Handler>{detail::kSelectAcquire, &semaphore, std::move(handler)};
}
// When the fiber has ended.
template <typename Handler>
auto on_done(const FiberHandle& fiber, Handler handler) {
  return detail::PlainCase<Handler>{detail::kSelectTask, fiber.task(), std::move(handler)};
}
// When nothing else could be done in time. At most one, and the last case.
template <typename Handler>
auto on_timeout(Duration timeout, Handler handler) {
  return detail::TimeoutCase<Handler>{timeout, std::move(handler)};
}
// When nothing else can be done at once.
template <typename Handler>
auto otherwise(Handler handler) {
  return on_timeout(Duration::zero(), std::move(handler));
}

// Exactly one case is done and its handler called, outside of any lock. Of those that can be done
// at once, one in turn. Returns the index of the case. Throws ShutDown when a queue was shut down.
template <typename... Cases>
size_t select(Cases... cases) {
  constexpr size_t kCases = sizeof...(Cases);
  auto all = std::tie(cases...);
  using Last = std::remove_reference_t<std::tuple_element_t<kCases - 1, decltype(all)>>;
  constexpr bool kTimed = detail::IsTimeoutCase<Last>::value;
  constexpr size_t kItems = kTimed ? kCases - 1 : kCases;
  Duration timeout = kForever;
  if constexpr (kTimed) timeout = std::get<kCases - 1>(all).timeout;

  return [&]<size_t... I>(std::index_sequence<I...>)->size_t {
    std::array<detail::SelectItem, kItems> items{std::get<I>(all).item()...};
    size_t done;
    try {
      done = detail::select_items(items.data(), kItems, timeout);
    } catch (...) {
      (std::get<I>(all).not_done(items[I]), ...);
      throw;
    }
    ((I == done ? void() : std::get<I>(all).not_done(items[I])), ...);
    ((I == done ? std::get<I>(all).done(items[I]) : void()), ...);
    if constexpr (kTimed) {
      if (done == kItems) std::get<kItems>(all).handler();
    }
    return done;
  }
  (std::make_index_sequence<kItems>{});
}

}  // namespace tendril
