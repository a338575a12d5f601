// Signals: dispositions, masks, sending, waiting.
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"
#include "handlers.hpp"

namespace differential {
namespace {

struct KernelAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

constexpr long kSetSize = 8;
constexpr uint64_t kRestorer = 0x04000000;

Argument signal_number() {
  return [](Builder& b) { return b.number(b.signal()); };
}
Argument set_size() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({0, 4, 16, 128, -1}) : b.number(kSetSize);
  };
}
Argument set_in() {
  return [](Builder& b) { return b.signal_set(b.random_set()); };
}

Argument action_in() {
  return [](Builder& b) {
    if (b.random.chance(20)) return b.null();
    KernelAction action;
    action.handler = handler_address();
    if (b.random.chance(10)) action.handler = 1;  // SIG_IGN
    if (b.random.chance(4)) action.handler = 0;   // SIG_DFL
    action.flags = kRestorer | SA_SIGINFO;
    if (b.random.chance(45)) action.flags |= SA_RESTART;
    if (b.random.chance(20)) action.flags |= SA_NODEFER;
    if (b.random.chance(10)) action.flags |= SA_RESETHAND;
    if (b.random.chance(20)) action.flags |= SA_ONSTACK;
    if (b.is_wild()) action.flags |= uint64_t{1} << (8 + b.random.below(8));
    action.restorer = restorer_address();
    action.mask = b.random.chance(60) ? 0 : b.random_set();
    const long at = b.structure(action, Shown::kNever);
    char text[96];
    snprintf(text, sizeof text, "{%s flags=%#llx mask=%#llx}",
             action.handler == 0   ? "default"
             : action.handler == 1 ? "ignore"
                                   : "handler",
             static_cast<unsigned long long>(action.flags),
             static_cast<unsigned long long>(action.mask));
    b.call.text += text;
    return at;
  };
}
// It contains addresses, which differ from run to run: shown by what they mean.
Argument action_out() {
  return [](Builder& b) {
    if (b.random.chance(40)) return b.null();
    const long at = b.out({sizeof(KernelAction)}, Shown::kNever);
    const auto* place = reinterpret_cast<const KernelAction*>(b.last_chunk);
    if (place != nullptr && !b.last_at_edge) {
      b.call.also_shown = [place](long result) {
        if (result != 0) return std::string();
        char text[96];
        snprintf(text, sizeof text, " was {%s flags=%#llx mask=%#llx}",
                 place->handler == 0                   ? "default"
                 : place->handler == 1                 ? "ignore"
                 : place->handler == handler_address() ? "handler"
                                                       : "something",
                 static_cast<unsigned long long>(place->flags),
                 static_cast<unsigned long long>(place->mask));
        return std::string(text);
      };
    }
    return at;
  };
}

void masks(Builder& b) {
  const long how = b.call.arguments[0];
  const auto* set = reinterpret_cast<const uint64_t*>(b.call.arguments[1]);
  uint64_t wanted = 0;
  const bool given = b.call.arguments[1] != 0 &&
                     !b.room.name_of(static_cast<uintptr_t>(b.call.arguments[1])).empty();
  if (given) memcpy(&wanted, set, sizeof wanted);
  b.call.after = [&world = b.world, thread = b.thread, how, wanted, given](long) {
    if (!given) return;
    // Also when the old set could not be written: the change has happened then. What follows from
    // an error is too much rather than too little caution.
    uint64_t& blocked = world.blocked[static_cast<size_t>(thread)];
    if (how == SIG_BLOCK) blocked |= wanted;
    if (how == SIG_UNBLOCK) blocked &= ~wanted;
    if (how == SIG_SETMASK) blocked = wanted;
  };
}

Argument stack_in() {
  return [](Builder& b) {
    if (b.random.chance(30)) return b.null();
    static void* const memory =
        mmap(nullptr, size_t{64} << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Each thread its own part.
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = static_cast<char*>(memory) + b.thread * (16 << 10);
    stack.ss_size = size_t{16} << 10;
    if (b.random.chance(15)) stack.ss_flags = SS_DISABLE;
    if (b.is_wild()) stack.ss_size = 100;
    if (b.is_wild())
      stack.ss_flags = static_cast<int>(b.random.one_of(std::vector<long>{1, 3, 4, 1 << 20, -1}));
    const long at = b.structure(stack, Shown::kNever);
    b.call.text +=
        "{size=" + std::to_string(stack.ss_size) + " flags=" + std::to_string(stack.ss_flags) + "}";
    return at;
  };
}
Argument stack_out() {
  return [](Builder& b) {
    if (b.random.chance(30)) return b.null();
    const long at = b.out({sizeof(stack_t)}, Shown::kNever);
    const auto* place = reinterpret_cast<const stack_t*>(b.last_chunk);
    if (place != nullptr && !b.last_at_edge) {
      b.call.also_shown = [place](long result) {
        if (result != 0) return std::string();
        return " was {size=" + std::to_string(place->ss_size) +
               " flags=" + std::to_string(place->ss_flags) + "}";
      };
    }
    return at;
  };
}

// Of the own process; never a group, never all.
Argument own_pid() {
  return [](Builder& b) {
    if (b.is_wild()) return b.one_of({0x3fffffff, -0x3fffffff, INT_MIN});
    return b.named("own-pid", getpid());
  };
}
Argument some_tid() {
  return [](Builder& b) {
    if (b.is_wild()) return b.one_of({0, -1, 0x3fffffff, INT_MIN});
    const unsigned index = b.random.below(static_cast<unsigned>(b.world.tids.size()));
    return b.named(("thread" + std::to_string(index)).c_str(), b.world.tids[index]);
  };
}
Argument info_in() {
  return [](Builder& b) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = b.is_wild() ? 3 : 0;
    info.si_code = b.is_wild() ? static_cast<int>(b.random.one_of(std::vector<long>{
                                     SI_USER, SI_KERNEL, SI_TKILL, SI_MESGQ, -60, 5}))
                               : SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = static_cast<int>(b.random.below(1000));
    const long at = b.structure(info, Shown::kNever);
    b.call.text += "{code=" + std::to_string(info.si_code) +
                   " value=" + std::to_string(info.si_value.sival_int) + "}";
    return at;
  };
}

std::function<void(Builder&)> to_thread(size_t position) {
  return [=](Builder& b) {
    const long signal = b.call.arguments[position];
    if (signal > 0 && signal <= 64) b.call.thread_signal = static_cast<int>(signal);
  };
}

void to_process(Builder& b) {
  const long signal = b.call.arguments[1];
  if (b.call.arguments[0] == getpid() && signal > 0 && signal <= 64)
    b.call.process_signal = static_cast<int>(signal);
}

// A wait for signals: what it waits for is claimed.
void waits_for(Builder& b) {
  uint64_t set = 0;
  const auto address = static_cast<uintptr_t>(b.call.arguments[0]);
  if (!b.room.name_of(address).empty())
    memcpy(&set, reinterpret_cast<const void*>(address), sizeof set);
  b.call.waits_for_signals = set;
  const auto* info = reinterpret_cast<const siginfo_t*>(b.last_chunk);
  (void)info;
}

Argument info_out() {
  return [](Builder& b) {
    if (b.random.chance(30)) return b.null();
    const long at = b.out({sizeof(siginfo_t)}, Shown::kNever);
    const auto* place = reinterpret_cast<const siginfo_t*>(b.last_chunk);
    if (place != nullptr && !b.last_at_edge) {
      b.call.also_shown = [place](long result) {
        if (result <= 0) return std::string();
        const bool ours = place->si_pid == getpid();
        const bool sent = place->si_code <= 0 && place->si_code != SI_TIMER;
        return " info {" + std::to_string(place->si_signo) + " code " +
               std::to_string(place->si_signo == SIGCHLD && place->si_code > 0 ? 1
                                                                               : place->si_code) +
               " value " +
               (place->si_code == SI_QUEUE ? std::to_string(place->si_value.sival_int)
                                           : std::string("-")) +
               (sent && ours ? " from us}" : "}");
      };
    }
    return at;
  };
}

void suspends(Builder& b) {
  const auto address = static_cast<uintptr_t>(b.call.arguments[0]);
  uint64_t set = 0;
  if (b.room.name_of(address).empty()) return;
  memcpy(&set, reinterpret_cast<const void*>(address), sizeof set);
  b.call.temporary_mask = set;
}

void makes_signalfd(Builder& b) {
  b.call.takes_number = true;
  uint64_t set = 0;
  const auto address = static_cast<uintptr_t>(b.call.arguments[1]);
  if (!b.room.name_of(address).empty())
    memcpy(&set, reinterpret_cast<const void*>(address), sizeof set);
  b.call.after = [&world = b.world, set](long result) {
    if (result < 0) return;
    const auto fd = static_cast<int>(result);
    const int object = world.object_of(fd) < 0 ? world.make_object(kSignalfd) : world.object_of(fd);
    world.object(object).signals |= set;
    world.read_by_signalfds |= set;
    world.opened(fd, object);
  };
}

Argument none_or_signalfd() {
  return [](Builder& b) {
    if (b.random.chance(70)) return b.number(-1);
    return b.fd(kSignalfd, {});
  };
}

}  // namespace

const std::vector<CallSpec>& signal_calls() {
  static const std::vector<CallSpec> calls = {
      {"rt_sigaction",
       SYS_rt_sigaction,
       kSignalFamily,
       10,
       {signal_number(), action_in(), action_out(), set_size()},
       {},
       nullptr},
      {"rt_sigprocmask",
       SYS_rt_sigprocmask,
       kSignalFamily,
       14,
       {one_of({SIG_BLOCK, SIG_UNBLOCK, SIG_UNBLOCK, SIG_SETMASK, 9}),
        [](Builder& b) { return b.random.chance(10) ? b.null() : b.signal_set(b.random_set()); },
        [](Builder& b) { return b.random.chance(50) ? b.null() : b.out({8}); }, set_size()},
       masks,
       nullptr},
      {"rt_sigpending", SYS_rt_sigpending, kSignalFamily, 6, {out({8}), set_size()}, {}, nullptr},
      {"rt_sigtimedwait",
       SYS_rt_sigtimedwait,
       kSignalFamily,
       8,
       {set_in(), info_out(), time_limit(), set_size()},
       waits_for,
       nullptr},
      {"rt_sigsuspend",
       SYS_rt_sigsuspend,
       kSignalFamily,
       4,
       {set_in(), set_size()},
       suspends,
       nullptr},
      {"pause", SYS_pause, kSignalFamily, 2, {}, {}, nullptr},
      {"sigaltstack", SYS_sigaltstack, kSignalFamily, 4, {stack_in(), stack_out()}, {}, nullptr},
      {"kill", SYS_kill, kSignalFamily, 8, {own_pid(), signal_number()}, to_process, nullptr},
      {"tkill", SYS_tkill, kSignalFamily, 4, {some_tid(), signal_number()}, to_thread(1), nullptr},
      {"tgkill",
       SYS_tgkill,
       kSignalFamily | kWaitFamily | kIoFamily | kSocketFamily | kFutexFamily,
       12,
       {own_pid(), some_tid(), signal_number()},
       to_thread(2),
       nullptr},
      {"rt_sigqueueinfo",
       SYS_rt_sigqueueinfo,
       kSignalFamily,
       6,
       {own_pid(), signal_number(), info_in()},
       to_process,
       nullptr},
      {"rt_tgsigqueueinfo",
       SYS_rt_tgsigqueueinfo,
       kSignalFamily,
       6,
       {own_pid(), some_tid(), signal_number(), info_in()},
       to_thread(2),
       nullptr},
      {"signalfd4",
       SYS_signalfd4,
       kSignalFamily | kWaitFamily,
       4,
       {none_or_signalfd(), set_in(), set_size(), one_of({0, 0, SFD_NONBLOCK, SFD_CLOEXEC, 1})},
       makes_signalfd,
       nullptr},
  };
  return calls;
}

}  // namespace differential
