#include "interpose/symbols/libc.hpp"

#include <dlfcn.h>

#include "interpose/kernel/report.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::symbols {

void LibcFunction::look_up() noexcept {
  function_.store(dlsym(RTLD_NEXT, name_), std::memory_order_relaxed);
}

void* LibcFunction::get_late() noexcept {
  look_up();
  if (void* function = function_.load(std::memory_order_relaxed); function != nullptr) {
    return function;
  }
  kernel::Report().text("tendril: the C library has no function ").text(name_).send();
  for (;;) rt::raw_syscall(SYS_exit_group, 126);
}

TENDRIL_LIBC_FUNCTION(pthread_create)

int libc_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*function)(void*), void* argument) noexcept {
  return TENDRIL_LIBC(pthread_create)(thread, attributes, function, argument);
}

}  // namespace tendril::symbols
