// Objects of which a process has one, and whose making is more than data in the library's image.
#pragma once

#include <new>

namespace tendril::rt {

// Made at the first use, at the latest when the library is loaded: in both cases while there is one
// thread, so making needs no lock (a guard of the compiler's would be a lock of libc's inside
// hooks). Never destroyed: threads run during exit.
template <typename T>
class [[gnu::visibility("hidden")]] ProcessWide {
 public:
  static T& get() noexcept {
    static_cast<void>(made_at_load);  // named, or it would not be instantiated
    static T* instance = new (storage) T;
    return *instance;
  }

 private:
  alignas(T) static inline char storage[sizeof(T)];
  static inline const bool made_at_load = (get(), true);
};

// The same, but only at the first use, which must be made while there is one thread: a process that
// never gets so far has nothing of it.
template <typename T>
class [[gnu::visibility("hidden")]] MadeAtFirstUse {
 public:
  static T& get() noexcept {
    static T* instance = new (storage) T;
    return *instance;
  }

 private:
  alignas(T) static inline char storage[sizeof(T)];
};

}  // namespace tendril::rt
