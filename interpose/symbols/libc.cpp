#include "interpose/symbols/libc.hpp"

#include <dlfcn.h>

#include "interpose/kernel/report.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::symbols {

void* libc_function(const char* name) noexcept {
  void* function = dlsym(RTLD_NEXT, name);
  if (function != nullptr) return function;
  kernel::Report().text("tendril: the C library has no function ").text(name).send();
  for (;;) rt::raw_syscall(SYS_exit_group, 126);
}

int libc_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*function)(void*), void* argument) noexcept {
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(libc_function("pthread_create"));
  return create(thread, attributes, function, argument);
}

}  // namespace tendril::symbols
