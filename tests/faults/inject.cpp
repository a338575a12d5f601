// inject [option...] -- program [argument...]
//
// Runs a program and has system calls fail at random, as the Linux kernel could have them fail: it
// traces the program by ptrace and a seccomp filter that stops at the calls of the catalogue only.
//
//   --seed S        the choices follow from it, and from the order in which the calls come
//   --one-in N      how rare a fault is among the calls that could have one (default 50)
//   --faults LIST   resources,interrupts,transfers,short,resets,rings
//   --calls LIST    only calls of these names
//   --runtime       only calls that Tendril's libraries make; without it, all calls from the first
//                   thread on (the loader has no way to deal with a fault)
//   --only K        one fault, at the Kth call that could have one, and nothing else
//   --each LAST     runs the program again and again, with --only 1, 2, … up to LAST, or to the
//                   last call that could have a fault; each run must end with status 0
//   --seconds T     what has not ended by then is called a hang and killed (default 60)
//   --at-least M    fail if fewer faults than M came about
//
// Ends with the program's status. If that is not 0, the seed and the faults are printed.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "catalogue.hpp"
#include "tracee.hpp"

namespace faults {
namespace {

constexpr int kHang = 124;

struct Options {
  uint64_t seed = 1;
  uint64_t one_in = 50;
  unsigned groups = kResources | kInterrupts;
  std::set<std::string> calls;
  bool runtime_only = false;
  uint64_t only = 0;
  uint64_t each = 0;
  unsigned seconds = 60;
  uint64_t at_least = 0;
  char** program = nullptr;
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr, "inject: %s; see the head of inject.cpp\n", why.c_str());
  std::exit(2);
}

std::vector<std::string> words_of(const char* list) {
  std::vector<std::string> words;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

unsigned group_of(const std::string& name) {
  if (name == "resources") return kResources;
  if (name == "interrupts") return kInterrupts;
  if (name == "transfers") return kTransfers;
  if (name == "short") return kShort;
  if (name == "resets") return kResets;
  if (name == "rings") return kRings;
  usage("no such faults: " + name);
}

Options parse(char** arguments) {
  Options options;
  for (char** at = arguments + 1; *at != nullptr; ++at) {
    const std::string name = *at;
    if (name == "--") {
      options.program = at + 1;
      break;
    }
    if (name == "--runtime") {
      options.runtime_only = true;
      continue;
    }
    const char* value = *++at;
    if (value == nullptr) usage(name + " needs a value");
    if (name == "--faults") {
      options.groups = 0;
      for (const std::string& word : words_of(value)) options.groups |= group_of(word);
    } else if (name == "--calls") {
      for (std::string& word : words_of(value)) options.calls.insert(std::move(word));
    } else if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--one-in") {
      options.one_in = std::strtoull(value, nullptr, 10);
    } else if (name == "--only") {
      options.only = std::strtoull(value, nullptr, 10);
    } else if (name == "--each") {
      options.each = std::strtoull(value, nullptr, 10);
    } else if (name == "--seconds") {
      options.seconds = static_cast<unsigned>(std::strtoul(value, nullptr, 10));
    } else if (name == "--at-least") {
      options.at_least = std::strtoull(value, nullptr, 10);
    } else {
      usage("unknown option " + name);
    }
  }
  if (options.program == nullptr || *options.program == nullptr) usage("no program");
  if (options.one_in == 0) usage("--one-in 0");
  return options;
}

class Injector {
 public:
  explicit Injector(const Options& options) : options_(options), random_(options.seed) {
    for (const Fault& fault : catalogue()) {
      if ((fault.group & options.groups) == 0) continue;
      if (!options.calls.empty() && options.calls.count(call_name(fault.call)) == 0) continue;
      faults_.push_back(fault);
    }
    if (faults_.empty()) usage("no faults are left");
    // Two generators of the same kind from neighbouring seeds begin alike.
    for (int i = 0; i < 8; ++i) next_random();
  }

  int run();
  uint64_t possible() const { return possible_; }
  uint64_t injected() const { return injected_; }
  void print_faults(int status) const;

 private:
  uint64_t next_random() {
    random_ += 0x9e3779b97f4a7c15;
    uint64_t z = random_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  [[noreturn]] void become_program(int go) const;
  void stopped(pid_t tid, int status);
  void at_call(pid_t tid);
  bool choose(pid_t tid, const user_regs_struct& registers, Fault* chosen);
  void describe_hang() const;

  const Options options_;
  uint64_t random_;
  std::vector<Fault> faults_;
  Tracees tracees_;
  std::set<pid_t> threads_;
  bool has_threads_ = false;
  uint64_t possible_ = 0;  // calls that could have had a fault
  uint64_t injected_ = 0;
  std::vector<std::string> lines_;  // the first and the last faults
};

// Stops at the calls of the catalogue. The tracer is told of every child, so that a stop never
// finds nobody who waits for it.
void Injector::become_program(int go) const {
  char byte;
  if (read(go, &byte, 1) != 1) _exit(127);
  close(go);
  std::set<int> calls;
  for (const Fault& fault : faults_) calls.insert(fault.call);
  std::vector<sock_filter> filter;
  filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const int call : calls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("inject: seccomp");
    _exit(127);
  }
  execvp(options_.program[0], options_.program);
  std::perror("inject: execvp");
  _exit(127);
}

bool Injector::choose(pid_t tid, const user_regs_struct& r, Fault* chosen) {
  const int call = static_cast<int>(r.orig_rax);
  const uint64_t arguments[6] = {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9};
  std::vector<const Fault*> apply;
  bool asks_kind = false;
  for (const Fault& fault : faults_) {
    if (fault.call != call) continue;
    if (fault.argument >= 0 && (arguments[fault.argument] & fault.mask) != fault.value) continue;
    if (fault.error == 0 && r.rdx < 2) continue;
    apply.push_back(&fault);
    asks_kind = asks_kind || fault.kinds != kAnything;
  }
  if (apply.empty()) return false;
  if (options_.runtime_only ? !tracees_.is_of_runtime(tid, r.rip) : !has_threads_) return false;
  // With --only, a call counts if it could have a fault; otherwise most are not looked at closely.
  if (options_.only == 0 && next_random() % options_.one_in != 0) return false;
  if (asks_kind) {
    const unsigned kind = tracees_.kind_of(tid, static_cast<int>(r.rdi));
    // A write of at most PIPE_BUF bytes to a pipe is never divided.
    const bool atomic = kind == kPipe && call == SYS_write && r.rdx <= 4096;
    std::vector<const Fault*> left;
    for (const Fault* fault : apply) {
      if ((fault->kinds & kind) == 0 && fault->kinds != kAnything) continue;
      if (atomic && fault->error == 0) continue;
      left.push_back(fault);
    }
    apply = std::move(left);
  }
  if (apply.empty()) return false;
  ++possible_;
  if (options_.only != 0 && options_.only != possible_) return false;
  *chosen = *apply[next_random() % apply.size()];
  return true;
}

void Injector::at_call(pid_t tid) {
  user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, tid, 0, &registers) != 0) return;
  Fault fault;
  if (!choose(tid, registers, &fault)) return;
  char line[160];
  const auto call = static_cast<int>(registers.orig_rax);
  const uint64_t size = registers.rdx;
  if (fault.error != 0) {
    registers.orig_rax = ~0ULL;  // the call is skipped
    registers.rax = static_cast<unsigned long long>(-static_cast<long long>(fault.error));
  } else {
    registers.rdx = 1 + next_random() % (size - 1);
  }
  if (ptrace(PTRACE_SETREGS, tid, 0, &registers) != 0) return;
  ++injected_;
  if (fault.error != 0) {
    std::snprintf(line, sizeof line, "%llu: thread %d, %s(%lld, %#llx, %#llx) = %s at %#llx",
                  static_cast<unsigned long long>(possible_), tid, call_name(call),
                  static_cast<long long>(registers.rdi), registers.rsi, registers.rdx,
                  strerrorname_np(fault.error), registers.rip);
  } else {
    std::snprintf(line, sizeof line, "%llu: thread %d, %s(%lld) of %llu instead of %llu bytes",
                  static_cast<unsigned long long>(possible_), tid, call_name(call),
                  static_cast<long long>(registers.rdi), registers.rdx,
                  static_cast<unsigned long long>(size));
  }
  // A program that hangs still has its waits interrupted, for as long as we let it.
  constexpr size_t kFirst = 200;
  constexpr size_t kLast = 20;
  lines_.emplace_back(line);
  if (lines_.size() > kFirst + kLast) lines_.erase(lines_.begin() + kFirst);
}

void Injector::stopped(pid_t tid, int status) {
  const int event = status >> 16;
  int signal = WSTOPSIG(status);
  switch (event) {
    case 0:  // a signal is to be delivered: SIGSYS, which green threads live by, and all others
      break;
    case PTRACE_EVENT_SECCOMP:
      at_call(tid);
      signal = 0;
      break;
    case PTRACE_EVENT_STOP:
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        ptrace(PTRACE_LISTEN, tid, 0, 0);
        return;
      }
      signal = 0;
      break;
    case PTRACE_EVENT_CLONE:
      has_threads_ = true;
      signal = 0;
      break;
    case PTRACE_EVENT_EXEC:
      tracees_.executed(tid);
      signal = 0;
      break;
    default:
      signal = 0;
      break;
  }
  ptrace(PTRACE_CONT, tid, 0, signal);
}

// Where everybody stands.
void Injector::describe_hang() const {
  std::fprintf(stderr, "inject: still running after %u seconds:\n", options_.seconds);
  for (const pid_t tid : threads_) {
    const std::string path = "/proc/" + std::to_string(tid);
    std::string name, call;
    std::getline(std::ifstream(path + "/comm"), name);
    std::getline(std::ifstream(path + "/syscall"), call);
    std::fprintf(stderr, "  thread %d (%s): %s\n", tid, name.c_str(), call.c_str());
  }
}

volatile sig_atomic_t time_is_up = 0;

int Injector::run() {
  int go[2];
  if (pipe(go) != 0) usage("no pipe");
  const pid_t child = fork();
  if (child < 0) usage("no process");
  if (child == 0) {
    close(go[1]);
    become_program(go[0]);
  }
  close(go[0]);
  constexpr long kTraced = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                           PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, child, 0, kTraced) != 0) {
    std::perror("inject: ptrace");
    std::exit(2);
  }
  if (write(go[1], "x", 1) != 1) usage("no pipe");
  close(go[1]);
  threads_.insert(child);
  time_is_up = 0;
  // Again and again: one that came while nobody waited would be lost.
  const itimerval limit{{1, 0}, {static_cast<time_t>(options_.seconds), 0}};
  setitimer(ITIMER_REAL, &limit, nullptr);
  int result = 0;
  bool hung = false;
  for (;;) {
    int status;
    if (time_is_up != 0) {
      if (!hung) describe_hang();
      hung = true;
      for (const pid_t thread : threads_) kill(thread, SIGKILL);
      time_is_up = 0;
    }
    const pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0) {
      if (errno != EINTR) break;  // nobody is left
      continue;
    }
    if (WIFSTOPPED(status)) {
      threads_.insert(tid);
      stopped(tid, status);
      continue;
    }
    threads_.erase(tid);
    tracees_.ended(tid);
    if (tid == child) result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  const itimerval none{};
  setitimer(ITIMER_REAL, &none, nullptr);
  return hung ? kHang : result;
}

void Injector::print_faults(int status) const {
  std::fprintf(stderr, "inject: status %d with --seed %llu", status,
               static_cast<unsigned long long>(options_.seed));
  if (options_.only != 0) {
    std::fprintf(stderr, " --only %llu", static_cast<unsigned long long>(options_.only));
  } else {
    std::fprintf(stderr, " --one-in %llu", static_cast<unsigned long long>(options_.one_in));
  }
  std::fprintf(stderr, "; of %llu faults:\n", static_cast<unsigned long long>(injected_));
  for (const std::string& line : lines_) std::fprintf(stderr, "  %s\n", line.c_str());
}

int run_once(const Options& options, uint64_t* possible, uint64_t* injected) {
  Injector injector(options);
  const int status = injector.run();
  *possible = injector.possible();
  *injected += injector.injected();
  if (status != 0) injector.print_faults(status);
  return status;
}

int run_each(Options options, uint64_t* injected) {
  int bad = 0;
  for (options.only = 1; options.only <= options.each; ++options.only) {
    uint64_t possible = 0;
    if (run_once(options, &possible, injected) != 0) ++bad;
    if (possible < options.only) break;
  }
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace faults

int main(int, char** arguments) {
  const faults::Options options = faults::parse(arguments);
  struct sigaction action = {};
  action.sa_handler = [](int) { faults::time_is_up = 1; };
  sigaction(SIGALRM, &action, nullptr);
  uint64_t possible = 0;
  uint64_t injected = 0;
  const int status = options.each != 0 ? faults::run_each(options, &injected)
                                       : faults::run_once(options, &possible, &injected);
  std::fprintf(stderr, "inject: %llu faults\n", static_cast<unsigned long long>(injected));
  if (status == 0 && injected < options.at_least) {
    std::fprintf(stderr, "inject: expected at least %llu\n",
                 static_cast<unsigned long long>(options.at_least));
    return 1;
  }
  return status;
}
