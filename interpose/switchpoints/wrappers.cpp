// The wrappers of wrappers.def. A library of its own, preloaded only where a seed is given: an
// uncontended lock is a few nanoseconds, and ordinary runs are not to pay for a look at a setting.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <threads.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

extern "C" void tendril_switch_point();  // in the shim

namespace {

// The next definition of a name after ours: looked up when this library is loaded, for the look-up
// takes the loader's lock, and the program may leave a wrapper at any instruction. A wrapper that
// is called before looks itself.
class NextFunction {
 public:
  constexpr explicit NextFunction(const char* name) noexcept : name_(name) {}
  void look_up() noexcept { function_ = dlsym(RTLD_NEXT, name_); }
  // A missing one ends the process: the C library is not one that we know.
  void* get() noexcept {
    if (function_ == nullptr) look_up();
    if (function_ == nullptr) give_up();
    return function_;
  }

 private:
  [[noreturn]] void give_up() const noexcept {
    const char* parts[] = {"tendril: the C library has no function ", name_, "\n"};
    for (const char* part : parts) {
      if (write(2, part, std::strlen(part)) < 0) break;
    }
    _exit(126);
  }

  const char* name_;
  void* function_ = nullptr;
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
#define NEXT(name)                                  \
  static constinit NextFunction next_##name(#name); \
  static __attribute__((constructor)) void look_up_##name() { next_##name.look_up(); }

// The functions have names of their own and libc's only for the linker: headers declare them
// noexcept, through which thread cancellation could not unwind.
#define TAKES(result, name, parameters, arguments)                          \
  NEXT(name)                                                                \
  EXPORT result wrap_##name parameters __asm__(#name);                      \
  result wrap_##name parameters {                                           \
    const auto next = reinterpret_cast<decltype(&name)>(next_##name.get()); \
    tendril_switch_point();                                                 \
    return next arguments;                                                  \
  }
#define GIVES(result, name, parameters, arguments)                          \
  NEXT(name)                                                                \
  EXPORT result wrap_##name parameters __asm__(#name);                      \
  result wrap_##name parameters {                                           \
    const auto next = reinterpret_cast<decltype(&name)>(next_##name.get()); \
    tendril_switch_point();                                                 \
    const result outcome = next arguments;                                  \
    tendril_switch_point();                                                 \
    return outcome;                                                         \
  }

#include "interpose/switchpoints/wrappers.def"
