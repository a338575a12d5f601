// Sleeps and timers.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

constexpr int kSoonMs = 2;

Argument clock() {
  return [](Builder& b) {
    return b.is_wild()
               ? b.one_of({-1, 99, 8, 11, 4, 5, 6})
               : b.one_of({CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC, CLOCK_BOOTTIME, 11});
  };
}

// To sleep for: never null.
Argument duration() {
  return [](Builder& b) {
    timespec value = {0, 0};
    const unsigned which = b.random.below(10);
    if (b.is_wild()) {
      value = b.random.one_of(
          std::vector<timespec>{{-1, 0}, {0, -1}, {0, 1000000000}, {LONG_MIN, 0}, {1, LONG_MAX}});
    } else if (which < 3) {
      value = {0, static_cast<long>(b.random.below(3))};
      b.call.ends_by_itself = true;
    } else if (which < 7) {
      value.tv_nsec = 1000000;
      b.call.ends_by_itself = true;
    } else {
      value.tv_sec = b.random.chance(50) ? 100 : LONG_MAX;
    }
    char text[64];
    snprintf(text, sizeof text, "{%lds%ldns}", value.tv_sec, value.tv_nsec);
    const long at = b.structure(value, Shown::kNever);
    b.call.text += text;
    return at;
  };
}
Argument remaining() {
  return [](Builder& b) { return b.random.chance(40) ? b.null() : b.out({16}, Shown::kWhether); };
}

// One shot, soon or late, or none.
itimerspec one_shot(Builder& b, std::string* text) {
  itimerspec value{};
  const unsigned which = b.random.below(10);
  if (b.is_wild()) {
    value.it_value = b.random.one_of(std::vector<timespec>{{-1, 0}, {0, -1}, {0, 1000000000}});
    *text = "{wrong}";
  } else if (which < 2) {
    *text = "{disarmed}";
  } else if (which < 7) {
    value.it_value.tv_nsec = kSoonMs * 1000000L;
    b.call.expiry_ms = kSoonMs;
    *text = "{soon}";
  } else {
    value.it_value.tv_sec = 100;
    *text = "{late}";
  }
  return value;
}
Argument timer_setting() {
  return [](Builder& b) {
    std::string text;
    const itimerspec value = one_shot(b, &text);
    const long at = b.structure(value, Shown::kNever);
    b.call.text += text;
    return at;
  };
}
Argument timer_old() {
  return [](Builder& b) { return b.random.chance(50) ? b.null() : b.out({32}, Shown::kWhether); };
}
Argument interval_setting() {
  return [](Builder& b) {
    std::string text;
    const itimerspec value = one_shot(b, &text);
    const itimerval micro{{0, 0}, {value.it_value.tv_sec, value.it_value.tv_nsec / 1000}};
    if (b.random.chance(5)) {
      b.call.expiry_ms = 0;
      return b.null();
    }
    const long at = b.structure(micro, Shown::kNever);
    b.call.text += text;
    return at;
  };
}

// A point in time that a duration happens to name is long past, or never comes.
void past_or_never(Builder& b) {
  if (b.call.arguments[1] == TIMER_ABSTIME) b.call.ends_by_itself = true;
}

void rings_alarm(Builder& b) {
  if (b.call.expiry_ms != 0 && b.call.arguments[0] == ITIMER_REAL) b.call.process_signal = SIGALRM;
}

Argument event() {
  return [](Builder& b) {
    if (b.random.chance(15)) return b.null();
    sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_signo = b.signal();
    event.sigev_notify = static_cast<int>(b.random.one_of(std::vector<long>{
        SIGEV_SIGNAL, SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID, SIGEV_THREAD_ID}));
    if (b.is_wild()) event.sigev_notify = 9;
    event.sigev_value.sival_int = 4711;
    const unsigned index = b.random.below(static_cast<unsigned>(b.world.tids.size()));
    event._sigev_un._tid = b.is_wild() ? 0x3fffffff : b.world.tids[index];
    const long at = b.structure(event, Shown::kNever);
    b.call.text += "{signal " + std::to_string(event.sigev_signo) + " notify " +
                   std::to_string(event.sigev_notify) + " thread" + std::to_string(index) + "}";
    return at;
  };
}
void makes_timer(Builder& b) {
  const auto* place = reinterpret_cast<const int*>(b.last_chunk);
  b.call.after = [&world = b.world, place](long result) {
    if (result == 0 && place != nullptr) world.timers.push_back(*place);
  };
}
Argument timer() {
  return [](Builder& b) {
    if (b.is_wild() || b.world.timers.empty()) return b.one_of({9999, -1, INT_MAX});
    // Identifiers of timers mean nothing but the timer.
    const unsigned index = b.random.below(static_cast<unsigned>(b.world.timers.size()));
    return b.named(("timer" + std::to_string(index)).c_str(), b.world.timers[index]);
  };
}
void rings_some_signal(Builder& b) {
  // Which one is not noted: none of the threads may be in doubt about any.
  if (b.call.expiry_ms != 0) b.call.process_signal = -1;
}

}  // namespace

const std::vector<CallSpec>& time_calls() {
  static const std::vector<CallSpec> calls = {
      {"nanosleep",
       SYS_nanosleep,
       kTimeFamily | kSignalFamily,
       5,
       {duration(), remaining()},
       {},
       [](const long* a) {
         return static_cast<long>(
             nanosleep(reinterpret_cast<const timespec*>(a[0]), reinterpret_cast<timespec*>(a[1])));
       }},
      {"clock_nanosleep",
       SYS_clock_nanosleep,
       kTimeFamily | kSignalFamily,
       6,
       {clock(), one_of({0, 0, 0, TIMER_ABSTIME}), duration(), remaining()},
       past_or_never,
       nullptr},
      {"timerfd_create",
       SYS_timerfd_create,
       kTimeFamily | kWaitFamily,
       4,
       {clock(), one_of({0, 0, TFD_NONBLOCK, TFD_CLOEXEC, 1})},
       makes(kTimerfd),
       nullptr},
      {"timerfd_settime",
       SYS_timerfd_settime,
       kTimeFamily | kWaitFamily,
       6,
       {fd(kTimerfd), one_of({0, 0, 0, 8}), timer_setting(), timer_old()},
       {},
       nullptr},
      {"timerfd_gettime",
       SYS_timerfd_gettime,
       kTimeFamily,
       2,
       {fd(kTimerfd), out({32}, Shown::kWhether)},
       {},
       nullptr},
      {"setitimer",
       SYS_setitimer,
       kTimeFamily | kSignalFamily,
       3,
       {one_of({ITIMER_REAL, ITIMER_REAL, 9}), interval_setting(), timer_old()},
       rings_alarm,
       nullptr},
      {"getitimer",
       SYS_getitimer,
       kTimeFamily,
       1,
       {one_of({ITIMER_REAL, ITIMER_VIRTUAL, 9}), out({32}, Shown::kWhether)},
       {},
       nullptr},
      {"alarm", SYS_alarm, kTimeFamily, 1, {one_of({0, 100})}, {}, nullptr},
      {"timer_create",
       SYS_timer_create,
       kTimeFamily | kSignalFamily,
       4,
       {clock(), event(), out({4}, Shown::kWhether)},
       makes_timer,
       nullptr},
      {"timer_settime",
       SYS_timer_settime,
       kTimeFamily | kSignalFamily,
       5,
       {timer(), constant(0), timer_setting(), timer_old()},
       rings_some_signal,
       nullptr},
      {"timer_gettime",
       SYS_timer_gettime,
       kTimeFamily,
       2,
       {timer(), out({32}, Shown::kWhether)},
       {},
       nullptr},
      {"timer_getoverrun", SYS_timer_getoverrun, kTimeFamily, 2, {timer()}, {}, nullptr},
      {"timer_delete", SYS_timer_delete, kTimeFamily, 1, {timer()}, {}, nullptr},
      {"clock_gettime",
       SYS_clock_gettime,
       kTimeFamily,
       2,
       {clock(), out({16}, Shown::kWhether)},
       {},
       nullptr},
      {"clock_getres", SYS_clock_getres, kTimeFamily, 1, {clock(), out({16})}, {}, nullptr},
      {"gettimeofday",
       SYS_gettimeofday,
       kTimeFamily,
       1,
       {out({16}, Shown::kWhether), null()},
       {},
       nullptr},
      {"sched_yield", SYS_sched_yield, kTimeFamily | kIoFamily, 2, {}, {}, nullptr},
  };
  return calls;
}

}  // namespace differential
