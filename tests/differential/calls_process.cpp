// What belongs to threads and processes: identity, scheduling, children.
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

// A thread of ours: 0 for the caller, or its number; or one that does not exist.
Argument thread_id() {
  return [](Builder& b) {
    if (b.is_wild()) return b.one_of({-1, 0x3fffffff, INT_MIN});
    if (b.random.chance(40)) return b.number(0);
    const unsigned index = b.random.below(static_cast<unsigned>(b.world.tids.size()));
    return b.named(("thread" + std::to_string(index)).c_str(), b.world.tids[index]);
  };
}

Argument child() {
  return [](Builder& b) {
    // Which of several children wait takes first depends on which kernel thread has made them.
    if (b.world.children.size() < 2 && b.random.chance(20)) return b.number(-1);
    if (b.world.children.empty() || b.is_wild()) return b.one_of({0x3fffffff, INT_MIN});
    const unsigned index = b.random.below(static_cast<unsigned>(b.world.children.size()));
    return b.named(("child" + std::to_string(index)).c_str(), b.world.children[index]);
  };
}

Argument priority_in() {
  return [](Builder& b) {
    return b.structure(static_cast<int>(b.random.one_of(std::vector<long>{0, 0, 1, 99, -1})),
                       Shown::kNever);
  };
}

Argument cpu_set() {
  return [](Builder& b) {
    uint64_t set[16] = {b.random.one_of(std::vector<uint64_t>{1, 3, ~uint64_t{0}, 0})};
    return b.structure(set, Shown::kNever);
  };
}

Argument capability_header() {
  return [](Builder& b) {
    const __user_cap_header_struct header{
        static_cast<uint32_t>(b.random.one_of(
            std::vector<long>{_LINUX_CAPABILITY_VERSION_3, _LINUX_CAPABILITY_VERSION_1, 7})),
        0};
    return b.structure(header, Shown::kBytes);
  };
}

CallSpec prctl_call(const char* name, long option, std::vector<Argument> rest) {
  std::vector<Argument> arguments = {constant(option)};
  for (Argument& each : rest) arguments.push_back(std::move(each));
  return {name, SYS_prctl, kProcessFamily, 2, std::move(arguments), {}, nullptr};
}

// The status is comparable, the number of the child is not.
void reaps(Builder& b) { b.call.value_varies = true; }

}  // namespace

const std::vector<CallSpec>& process_calls() {
  static const std::vector<CallSpec> calls = {
      {"gettid", SYS_gettid, kProcessFamily, 1, {}, value_varies, nullptr},
      {"getpid", SYS_getpid, kProcessFamily, 1, {}, value_varies, nullptr},
      {"sched_getscheduler", SYS_sched_getscheduler, kProcessFamily, 2, {thread_id()}, {}, nullptr},
      {"sched_setscheduler",
       SYS_sched_setscheduler,
       kProcessFamily,
       2,
       {thread_id(), one_of({0, 0, 3, 5, 77, -1}), priority_in()},
       {},
       nullptr},
      {"sched_getparam",
       SYS_sched_getparam,
       kProcessFamily,
       2,
       {thread_id(), out({4})},
       {},
       nullptr},
      {"sched_setparam",
       SYS_sched_setparam,
       kProcessFamily,
       1,
       {thread_id(), priority_in()},
       {},
       nullptr},
      {"sched_getattr",
       SYS_sched_getattr,
       kProcessFamily,
       1,
       {thread_id(), out({56, 48, 100}), size(), one_of({0, 0, 1})},
       {},
       nullptr},
      {"sched_rr_get_interval",
       SYS_sched_rr_get_interval,
       kProcessFamily,
       1,
       {thread_id(), out({16}, Shown::kWhether)},
       {},
       nullptr},
      {"sched_get_priority_max",
       SYS_sched_get_priority_max,
       kProcessFamily,
       1,
       {one_of({0, 1, 2, 9, -1})},
       {},
       nullptr},
      {"sched_getaffinity",
       SYS_sched_getaffinity,
       kProcessFamily,
       2,
       {thread_id(), one_of({0, 1, 4, 8, 12, 128, -1}), out({128})},
       {},
       nullptr},
      {"sched_setaffinity",
       SYS_sched_setaffinity,
       kProcessFamily,
       2,
       {thread_id(), one_of({0, 1, 8, 128}), cpu_set()},
       {},
       nullptr},
      {"getpriority",
       SYS_getpriority,
       kProcessFamily,
       2,
       {one_of({0, 0, 9}), thread_id()},
       {},
       nullptr},
      {"setpriority",
       SYS_setpriority,
       kProcessFamily,
       2,
       {one_of({0, 0, 9}), thread_id(), one_of({0, 5, 10, 100})},
       {},
       nullptr},
      {"ioprio_get",
       SYS_ioprio_get,
       kProcessFamily,
       1,
       {one_of({1, 1, 9}), thread_id()},
       {},
       nullptr},
      {"ioprio_set",
       SYS_ioprio_set,
       kProcessFamily,
       1,
       {one_of({1, 1, 9}), thread_id(), one_of({0, 2 << 13 | 4, 9 << 13, -1})},
       {},
       nullptr},
      {"get_robust_list",
       SYS_get_robust_list,
       kProcessFamily,
       1,
       {thread_id(), out({8}, Shown::kWhether), out({8})},
       {},
       nullptr},
      {"set_robust_list",
       SYS_set_robust_list,
       kProcessFamily,
       1,
       {null(), one_of({0, 23, 25})},
       {},
       nullptr},
      {"capget",
       SYS_capget,
       kProcessFamily,
       2,
       {capability_header(), out({24}, Shown::kWhether)},
       {},
       nullptr},
      {"getrlimit",
       SYS_getrlimit,
       kProcessFamily,
       1,
       {one_of({RLIMIT_NOFILE, RLIMIT_STACK, 99, -1}), out({16})},
       {},
       nullptr},
      {"prlimit64",
       SYS_prlimit64,
       kProcessFamily,
       1,
       {one_of({0, 0x3fffffff}), one_of({RLIMIT_CORE, 99}), null(), out({16})},
       {},
       nullptr},
      {"getrusage",
       SYS_getrusage,
       kProcessFamily,
       1,
       {one_of({0, -1, 1, 9}), out({144}, Shown::kWhether)},
       {},
       nullptr},
      {"getcpu",
       SYS_getcpu,
       kProcessFamily,
       1,
       {out({4}, Shown::kNever), null(), null()},
       {},
       nullptr},
      {"personality", SYS_personality, kProcessFamily, 1, {constant(0xffffffff)}, {}, nullptr},
      prctl_call("prctl.SET_NAME", PR_SET_NAME, {[](Builder& b) {
                   return b.pointer("a name that is too long", 24, Shown::kNever);
                 }}),
      prctl_call("prctl.GET_NAME", PR_GET_NAME, {out({16})}),
      prctl_call("prctl.GET_DUMPABLE", PR_GET_DUMPABLE, {}),
      prctl_call("prctl.GET_TIMERSLACK", PR_GET_TIMERSLACK, {}),
      prctl_call("prctl.SET_TIMERSLACK", PR_SET_TIMERSLACK, {one_of({0, 1000, 70000})}),
      prctl_call("prctl.GET_PDEATHSIG", PR_GET_PDEATHSIG, {out({4})}),
      prctl_call("prctl.SET_PDEATHSIG", PR_SET_PDEATHSIG, {one_of({0, 65, -1})}),
      prctl_call("prctl.GET_NO_NEW_PRIVS", PR_GET_NO_NEW_PRIVS,
                 {constant(0), constant(0), constant(0)}),
      prctl_call("prctl.GET_KEEPCAPS", PR_GET_KEEPCAPS, {}),
      prctl_call("prctl.unknown", 12345, {}),
      {"wait4",
       SYS_wait4,
       kProcessFamily,
       6,
       {child(), out({4}), one_of({0, WNOHANG, WNOHANG, 0x40000000, 64}), null()},
       reaps,
       nullptr},
      {"waitid",
       SYS_waitid,
       kProcessFamily,
       5,
       {one_of({P_PID, P_PID, P_PID, 9}), child(), out({128}, Shown::kWhether),
        one_of({WEXITED, WEXITED | WNOHANG, WEXITED | WNOWAIT, 0, WSTOPPED | WNOHANG, 64}), null()},
       reaps,
       nullptr},
      {"pidfd_open",
       SYS_pidfd_open,
       kProcessFamily | kWaitFamily,
       2,
       {child(), one_of({0, 0, 1})},
       makes(kPidfd),
       nullptr},
      {"membarrier",
       SYS_membarrier,
       kProcessFamily,
       1,
       {one_of({0, 7777}), constant(0), constant(0)},
       {},
       nullptr},
      {"number_5000", 5000, kProcessFamily, 1, {constant(0)}, {}, nullptr},
      {"number_-1", -1, kProcessFamily, 1, {constant(0)}, {}, nullptr},
      {"clone3",
       SYS_clone3,
       kProcessFamily,
       2,
       {[](Builder& b) { return b.named("low", 0x1000); }, one_of({0, 8, 64, 88, 100000, -1})},
       {},
       nullptr},
      {"set_mempolicy",
       SYS_set_mempolicy,
       kProcessFamily,
       1,
       {constant(99), null(), constant(0)},
       {},
       nullptr},
      {"getrandom",
       SYS_getrandom,
       kProcessFamily,
       1,
       {out({0, 16}, Shown::kWhether), size(), one_of({0, 1, 99})},
       {},
       nullptr},
      {"uname", SYS_uname, kProcessFamily, 1, {out({390})}, {}, nullptr},
      {"sysinfo", SYS_sysinfo, kProcessFamily, 1, {out({112}, Shown::kWhether)}, {}, nullptr},
      {"getgroups", SYS_getgroups, kProcessFamily, 1, {one_of({0, -1}), null()}, {}, nullptr},
      {"setfsuid", SYS_setfsuid, kProcessFamily, 1, {constant(-1)}, {}, nullptr},
      {"io_getevents",
       SYS_io_getevents,
       kProcessFamily,
       1,
       {constant(0), one_of({0, 1, -1}), constant(1), null(), null()},
       {},
       nullptr},
      {"unshare", SYS_unshare, kProcessFamily, 1, {one_of({0, 0x40000000 | 1})}, {}, nullptr},
      {"seccomp",
       SYS_seccomp,
       kProcessFamily,
       1,
       {one_of({99, -1}), constant(0), null()},
       {},
       nullptr},
      {"mprotect",
       SYS_mprotect,
       kProcessFamily,
       1,
       {[](Builder& b) {
          return b.one_of({0x1001, 0x1000});
        },
        one_of({0, 1, 4096}), one_of({0, 1, -1})},
       {},
       nullptr},
      {"munmap",
       SYS_munmap,
       kProcessFamily,
       1,
       {[](Builder& b) {
          return b.one_of({0x1001, 0x1000});
        },
        one_of({0, 1, 4096})},
       {},
       nullptr},
      {"mremap",
       SYS_mremap,
       kProcessFamily,
       1,
       {[](Builder& b) {
          return b.one_of({0x1001, 0x1000});
        },
        one_of({0, 4096}), one_of({0, 4096}), one_of({0, 1, 2, 99})},
       {},
       nullptr},
      {"mmap",
       SYS_mmap,
       kProcessFamily,
       1,
       {constant(0), one_of({0, -1}), constant(3), one_of({0x22, 0, 0x21}), constant(-1),
        one_of({0, 1})},
       {},
       nullptr},
  };
  return calls;
}

}  // namespace differential
