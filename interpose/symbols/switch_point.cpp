// The switch point that the library of wrapped lock operations calls (interpose/switchpoints):
// uncontended they make no system call, and would give no other thread a turn.
#include "interpose/symbols/hook.hpp"

extern "C" __attribute__((visibility("default"))) void tendril_switch_point() {
  using namespace tendril;
  if (!symbols::is_program_code()) return;
  bool attention;
  kernel::Progress progress;
  symbols::run_green(
      false, [] { return 0L; }, &attention, &progress);
  if (attention) trap::deliver_signals_by_trap();
}
