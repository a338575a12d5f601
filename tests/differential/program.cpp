#include "program.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "calls.hpp"
#include "handlers.hpp"
#include "performer.hpp"

namespace differential {
namespace {

struct Step {
  const CallSpec* call;  // or
  const Maker* maker;
  unsigned thread;
  uint64_t choice;  // what its arguments follow from
};

struct Program {
  unsigned threads;
  unsigned wild;
  std::vector<Step> steps;
};

// What a program is about: some families more than others; some programs are about wrong arguments.
Program make_program(uint64_t seed) {
  Random random(seed);
  Program program;
  program.threads = 2 + random.below(3);
  unsigned families = 0;
  for (unsigned i = 1 + random.below(2); i > 0; --i) families |= 1U << random.below(kFamilies);
  if (random.chance(8)) families = (1U << kFamilies) - 1;
  program.wild = random.chance(25) ? 35 : random.chance(40) ? 0 : 6;

  std::vector<const CallSpec*> calls;
  std::vector<unsigned> up_to;
  unsigned total = 0;
  for (const auto* table :
       {&io_calls(), &file_calls(), &socket_calls(), &wait_calls(), &futex_calls(), &signal_calls(),
        &time_calls(), &ipc_calls(), &process_calls()}) {
    for (const CallSpec& call : *table) {
      const unsigned weight = (call.families & families) != 0 ? call.weight * 12 : call.weight;
      calls.push_back(&call);
      up_to.push_back(total += weight);
    }
  }
  std::vector<const Maker*> fitting;
  for (const Maker& maker : makers()) {
    if ((maker.families & families) != 0) fitting.push_back(&maker);
  }
  const unsigned first_makers = fitting.empty() ? 0 : 2 + random.below(4);
  const unsigned count = 8 + random.below(40);
  for (unsigned i = 0; i < count; ++i) {
    Step step{};
    step.thread = random.below(program.threads);
    step.choice = random.next();
    if (!fitting.empty() && (i < first_makers || random.chance(8))) {
      step.maker = random.one_of(fitting);
    } else {
      const unsigned point = random.below(total);
      step.call = calls[static_cast<size_t>(std::upper_bound(up_to.begin(), up_to.end(), point) -
                                            up_to.begin())];
    }
    program.steps.push_back(step);
  }
  return program;
}

std::string result_text(long result, const Prepared& call) {
  if (result < 0) {
    const char* name = strerrorname_np(static_cast<int>(-result));
    return name != nullptr ? name : std::to_string(result);
  }
  return call.value_varies ? "ok" : std::to_string(result);
}

class Run {
 public:
  Run(uint64_t seed, const Program& program, const Options& options, Transcript& transcript)
      : options_(options), transcript_(transcript), wild_(program.wild), world_(seed) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    set_up_handlers();
    bad_places();
    install_handlers();
    for (unsigned i = 0; i < program.threads; ++i) {
      performers_.push_back(std::make_unique<Performer>(static_cast<int>(i)));
      world_.tids.push_back(performers_.back()->tid());
      world_.blocked.push_back(all_signals());
    }
    const int device = world_.make_object(kDevice);
    for (int fd = 0; fd < 3; ++fd) world_.opened(fd, device);
  }

  void perform(int index, const Step& step) {
    Random random(step.choice);
    if (step.maker != nullptr && holds_number()) {
      transcript_.add("%d: %s -- a number is held\n", index, step.maker->name);
      return;
    }
    if (step.maker != nullptr) {
      transcript_.add("%d: %s", index, step.maker->name);
      transcript_.add("%s\n", step.maker->make(world_, random).c_str());
      settle_idle();
      settle_others();
      show_handled();
      return;
    }
    Performer& performer = *performers_[step.thread];
    if (performer.pending() != nullptr) {
      transcript_.add("%d: thread %u waits\n", index, step.thread);
      return;
    }
    performer.room().clear();
    Builder builder(world_, performer.room(), random, wild_, static_cast<int>(step.thread));
    const CallSpec& spec = *step.call;
    build(builder, spec);
    const char* why_not = objection(builder.call);
    transcript_.add("%d: thread %u: %s%s\n", index, step.thread, builder.call.text.c_str(),
                    why_not);
    if (*why_not != '\0') return;
    const bool by_signal = (spec.families & (kSignalFamily | kTimeFamily)) != 0;
    const int expiry = builder.call.expiry_ms;
    performer.start(std::move(builder.call));
    if (performer.settle(options_.settle_us)) {
      end(performer, "");
    } else {
      transcript_.add("    waits\n");
    }
    if (expiry != 0) {
      const timespec t = {0, (expiry + 4) * 1000000L};
      nanosleep(&t, nullptr);
    }
    if (by_signal) settle_idle();
    settle_others();
    show_handled();
  }

  void finish() {
    for (const auto& each : performers_) {
      if (each->pending() == nullptr) continue;
      syscall(SYS_tgkill, getpid(), each->tid(), kEndingSignal);
      if (each->settle(options_.settle_us)) {
        end(*each, "at the end: ");
      } else {
        transcript_.add("    at the end: waits on: %s\n", each->pending()->text.c_str());
      }
    }
    settle_others();
    show_handled();
    for (const auto& [fd, object] : world_.open()) {
      if (!world_.object(object).spoiled) show_descriptor(fd);
    }
    // What would outlive the process.
    for (const int id : world_.semaphore_sets) semctl(id, 0, IPC_RMID);
    for (const int id : world_.message_queues) msgctl(id, IPC_RMID, nullptr);
    for (unsigned i = 0; i < World::kQueueNames; ++i)
      syscall(SYS_mq_unlink, world_.queue_name(i).c_str());
  }

 private:
  static uint64_t all_signals() {
    uint64_t set = 0;
    for (const int signal : kSignals) set |= bit_of(signal);
    return set;
  }

  void install_handlers() {
    struct {
      uint64_t handler, flags, restorer, mask;
    } action = {handler_address(), 0x04000000 | SA_SIGINFO, restorer_address(), 0};
    for (const int signal : kSignals) syscall(SYS_rt_sigaction, signal, &action, nullptr, 8);
  }

  void build(Builder& builder, const CallSpec& spec) {
    Prepared& call = builder.call;
    call.text = std::string(spec.name) + "(";
    call.number = spec.number;
    for (size_t i = 0; i < spec.arguments.size(); ++i)
      call.arguments[i] = spec.arguments[i](builder);
    if (spec.finish) spec.finish(builder);
    call.text += ")";
    const unsigned path = builder.random.below(3);
    if (path == 0 && spec.by_libc != nullptr && !call.raw_only) call.by_libc = spec.by_libc;
    call.by_instruction = path == 1;
  }

  // Why the call is not made: what would follow is not the same twice in a native run, or is known
  // to differ (docs/limits.md). Empty: nothing against it.
  const char* objection(const Prepared& call) {
    for (const auto& each : performers_) {
      const Prepared* pending = each->pending();
      if (pending == nullptr) continue;
      // Two who wait for the same: which of them gets it, the kernel does not say.
      for (const Claim& claim : call.claims) {
        if (pending->claims.count(claim) != 0 && !(call.in_order && pending->in_order))
          return " -- claimed";
      }
      // Whoever waits on the other end of a terminal that is closed is told so, EIO; green it comes
      // too late for that and finds the end (docs/limits.md).
      for (const int fd : call.closes) {
        if (world_.kind_of(fd) != kTerminal) continue;
        for (const Claim& claim : pending->claims) {
          if (world_.object(claim.first).kind == kTerminal) return " -- a terminal in use";
        }
      }
    }
    for (const int fd : call.fds) {
      const int object = world_.object_of(fd);
      if (object >= 0 && world_.object(object).spoiled) return " -- has an error";
    }
    if (call.takes_number && holds_number()) return " -- a number is held";
    // A signalfd reads what is sent to the process, natively also what is sent to the thread that
    // looks (docs/limits.md).
    if (call.thread_signal > 0 && (world_.read_by_signalfds & bit_of(call.thread_signal)) != 0)
      return " -- a signalfd's";
    // A signal of the process that several may take.
    for (int signal = 1; signal <= 64 && call.process_signal != 0; ++signal) {
      if (call.process_signal > 0 && call.process_signal != signal) continue;
      if (takers(signal) > 1) return " -- several may take it";
    }
    return "";
  }

  // accept and the open of a FIFO take their number before they wait, green ones after it, so that
  // others get other numbers meanwhile (docs/limits.md).
  bool holds_number() const {
    for (const auto& each : performers_) {
      if (each->pending() != nullptr && each->pending()->holds_number) return true;
    }
    return false;
  }

  unsigned takers(int signal) {
    const uint64_t bit = bit_of(signal);
    if ((all_signals() & bit) == 0) return 0;
    unsigned count = 0;
    for (size_t i = 0; i < performers_.size(); ++i) {
      const Prepared* pending = performers_[i]->pending();
      uint64_t blocked = world_.blocked[i];
      bool takes = false;
      if (pending != nullptr) {
        if (pending->temporary_mask) blocked = *pending->temporary_mask;
        takes = (pending->waits_for_signals & bit) != 0 ||
                pending->claims.count({signal, Way::kIn}) != 0;
      }
      if (takes || (blocked & bit) == 0) ++count;
    }
    return count;
  }

  void end(Performer& performer, const char* when) {
    long result;
    const std::string changes = performer.room().changes();
    const Prepared call = performer.take(&result);
    if (call.after) call.after(result);
    std::string text = result_text(result, call);
    // A read of nothing from a TCP connection that a signal ends has read nothing, or is
    // interrupted.
    const bool tcp = !call.fds.empty() && world_.kind_of(call.fds[0]) == kTcp;
    // Of several messages, any may be such a read.
    const bool messages = call.number == SYS_recvmmsg;
    if (*when != '\0' && tcp &&
        (messages || result == 0 || result == -EINTR || result == -EFAULT)) {
      if (const int object = world_.object_of(call.fds[0]); messages && object >= 0) {
        world_.object(object).spoiled = true;
      }
      transcript_.add("    %s= ended\n", when);
      return;
    }
    if (call.also_shown) text += call.also_shown(result);
    const bool lies =
        !options_.lie_about.empty() && call.text.rfind(options_.lie_about + "(", 0) == 0;
    transcript_.add("    %s= %s%s%s\n", when, text.c_str(), changes.c_str(),
                    lies ? " (a lie)" : "");
  }

  // Lets the handlers run on threads that wait for nothing.
  void settle_idle() {
    for (const auto& each : performers_) {
      if (each->pending() == nullptr) each->settle_idle(options_.settle_us);
    }
  }

  // Those that waited and that the last step has let go on.
  void settle_others() {
    for (size_t i = 0; i < performers_.size(); ++i) {
      Performer& each = *performers_[i];
      if (each.pending() == nullptr || !each.settle(options_.settle_us)) continue;
      transcript_.add("    thread %zu goes on: %s\n", i, each.pending()->text.c_str());
      end(each, "");
    }
  }

  // After the results: a handler on one thread and the return of the call that has sent the signal
  // on another are not ordered.
  void show_handled() {
    for (const auto& each : performers_) transcript_.add("%s", each->handled().take().c_str());
  }

  void show_descriptor(int fd) {
    int unread = -1;
    // A terminal gets what was written to the other end from a thread of the Linux kernel.
    if (world_.kind_of(fd) != kTerminal) ioctl(fd, FIONREAD, &unread);
    pollfd probe{fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    poll(&probe, 1, 0);
    transcript_.add("fd %d: flags %#x %#x, events %#x, %d to read, at %ld\n", fd,
                    fcntl(fd, F_GETFD), fcntl(fd, F_GETFL), static_cast<unsigned>(probe.revents),
                    unread, lseek(fd, 0, SEEK_CUR));
  }

  const Options& options_;
  Transcript& transcript_;
  const unsigned wild_;
  World world_;
  std::vector<std::unique_ptr<Performer>> performers_;
};

}  // namespace

void run_program(uint64_t seed, const Options& options, Transcript& transcript) {
  const Program program = make_program(seed);
  auto* run =
      new Run(seed, program, options, transcript);  // never deleted: threads may still use it
  transcript.add("%u threads\n", program.threads);
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const auto index = static_cast<int>(i);
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), index) == options.only.end())
      continue;
    run->perform(index, program.steps[i]);
  }
  run->finish();
}

}  // namespace differential
