// What happens when the shim is loaded: as little as possible, since most processes stay dormant.
// Hooks may be called before this, and before the C library itself is set up (its environment is
// not there yet): everything else is made at first use.
#include <pthread.h>

#include "interpose/boot/identified_fiber.hpp"
#include "interpose/kernel/child_environment.hpp"
#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/thread_limit.hpp"
#include "interpose/patch/exec_functions.hpp"

namespace {

__attribute__((constructor)) void on_load(int, char**, char** environment) {
  // Hidden only if it can be given to children all the same.
  if (tendril::kernel::is_preloaded(environment) && tendril::patch::replace_exec_functions()) {
    tendril::kernel::take_environment(environment);
  }
  tendril::kernel::note_inherited_descriptors();
  tendril::kernel::note_inherited_thread_limit();
  tendril::boot::offer_identified_fibers();
  pthread_atfork(nullptr, tendril::kernel::note_child_made, tendril::kernel::note_child_made);
}

}  // namespace
