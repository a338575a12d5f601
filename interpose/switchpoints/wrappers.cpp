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

// The next definition of a name after ours. A missing one ends the process: the C library is not
// one that we know.
void* next_function(const char* name) noexcept {
  void* function = dlsym(RTLD_NEXT, name);
  if (function != nullptr) return function;
  const char* parts[] = {"tendril: the C library has no function ", name, "\n"};
  for (const char* part : parts) {
    if (write(2, part, std::strlen(part)) < 0) break;
  }
  _exit(126);
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
// No lock guards the static: it may be looked up twice, with the same outcome.
#define NEXT(name) static const auto next = reinterpret_cast<decltype(&name)>(next_function(#name))

// The functions have names of their own and libc's only for the linker: headers declare them
// noexcept, through which thread cancellation could not unwind.
#define TAKES(result, name, parameters, arguments)     \
  EXPORT result wrap_##name parameters __asm__(#name); \
  result wrap_##name parameters {                      \
    NEXT(name);                                        \
    tendril_switch_point();                            \
    return next arguments;                             \
  }
#define GIVES(result, name, parameters, arguments)     \
  EXPORT result wrap_##name parameters __asm__(#name); \
  result wrap_##name parameters {                      \
    NEXT(name);                                        \
    tendril_switch_point();                            \
    const result outcome = next arguments;             \
    tendril_switch_point();                            \
    return outcome;                                    \
  }

#include "interpose/switchpoints/wrappers.def"
