#include "interpose/kernel/failure_report.hpp"

#include "interpose/kernel/report.hpp"
#include "runtime/hub/seeded_schedule.hpp"

namespace tendril::kernel {

void report_seed_of_failure() noexcept {
  const rt::SeededSchedule& schedule = rt::seeded_schedule();
  static bool said = false;  // a seeded process has one worker
  if (!schedule.is_on() || said) return;
  said = true;
  Report().text("tendril: seed ").unsigned_number(schedule.seed()).send();
}

}  // namespace tendril::kernel
