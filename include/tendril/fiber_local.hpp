// A variable of which each fiber has its own value. (gevent: local)
#pragma once

#include <utility>

namespace tendril {

namespace detail {
unsigned long new_local_key() noexcept;
void* find_local(unsigned long key) noexcept;
// Takes over the value; `destroy` is called with it when the fiber ends. Throws std::bad_alloc.
void set_local(unsigned long key, void* value, void (*destroy)(void*));
void drop_local(unsigned long key) noexcept;
}  // namespace detail

// For variables that outlive the fibers that use them (of namespace scope, as a rule). A fiber's
// value is made at its first use and destroyed in that fiber when it ends.
template <typename T>
class FiberLocal {
 public:
  FiberLocal() noexcept : key_(detail::new_local_key()) {}
  FiberLocal(const FiberLocal&) = delete;
  FiberLocal& operator=(const FiberLocal&) = delete;

  // The running fiber's value, value-initialised at first use.
  T& get() {
    if (void* value = detail::find_local(key_)) return *static_cast<T*>(value);
    return *emplace();
  }
  T& operator*() { return get(); }
  T* operator->() { return &get(); }

  // Null if this fiber has not used it.
  T* get_if() noexcept { return static_cast<T*>(detail::find_local(key_)); }
  void reset() noexcept { detail::drop_local(key_); }

  template <typename... Args>
  T* emplace(Args&&... args) {
    auto* value = new T(std::forward<Args>(args)...);
    reset();
    detail::set_local(key_, value, [](void* old) { delete static_cast<T*>(old); });
    return value;
  }

 private:
  const unsigned long key_;
};

}  // namespace tendril
