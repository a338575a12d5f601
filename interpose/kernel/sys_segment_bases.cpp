// arch_prctl(2)
#include <asm/prctl.h>

#include <cerrno>

#include "interpose/kernel/report.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/thread_registers.hpp"

namespace tendril::kernel {
namespace {

long refuse_base(const char* register_name, const char* use) noexcept {
  Report()
      .text("tendril: a green thread cannot set its ")
      .text(register_name)
      .text(" base (arch_prctl): ")
      .text(use)
      .send();
  return -EPERM;
}

}  // namespace

// The bases that are in use are not the program's to change: through the one its threads are told
// apart, through the other the runtime finds itself. It has never set the latter, so that reads 0.
long sys_arch_prctl(Call& call) {
  const auto argument = static_cast<uintptr_t>(call.arguments[1]);
  switch (static_cast<int>(call.arguments[0])) {
    case ARCH_GET_FS: {
      const uintptr_t base = rt::get_fs_base();
      return copy_out_bytes(reinterpret_cast<void*>(argument), &base, sizeof base);
    }
    case ARCH_GET_GS: {
      const uintptr_t none = 0;
      return copy_out_bytes(reinterpret_cast<void*>(argument), &none, sizeof none);
    }
    case ARCH_SET_FS:
      if (argument == rt::get_fs_base()) return 0;
      return refuse_base("FS", "its thread-locals are found by it");
    case ARCH_SET_GS:
      return refuse_base("GS", "the runtime's worker is found by it");
    default:
      return pass(call);
  }
}

}  // namespace tendril::kernel
