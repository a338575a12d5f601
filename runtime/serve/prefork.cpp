#include "tendril/prefork.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <optional>
#include <system_error>
#include <vector>

#include "runtime/hub/interposed.hpp"
#include "runtime/platform/thread_registers.hpp"
#include "tendril/errors.hpp"

namespace tendril {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(10);

// Blocks the master's signals, which it takes one by one; gives the mask back.
class SignalsTaken {
 public:
  SignalsTaken() {
    sigemptyset(&set_);
    for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~SignalsTaken() { give_back(); }
  SignalsTaken(const SignalsTaken&) = delete;
  SignalsTaken& operator=(const SignalsTaken&) = delete;

  void give_back() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  // 0 when the time has come first.
  int next(std::optional<Clock::time_point> until) const {
    if (!until) return std::max(0, sigwaitinfo(&set_, nullptr));
    const auto left = std::max(Duration::zero(), Duration(*until - Clock::now()));
    const timespec time{static_cast<time_t>(left.count() / 1'000'000'000),
                        static_cast<long>(left.count() % 1'000'000'000)};
    return std::max(0, sigtimedwait(&set_, nullptr, &time));
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

struct Child {
  pid_t pid;
  size_t place;
  Clock::time_point since;
  bool dismissed = false;          // was sent SIGTERM
  Clock::time_point kill_at = {};  // if dismissed
};

// One listener and its worker.
struct Place {
  Listener listener;
  Duration pause = kFirstPause;               // before the next start, if this one fails early
  std::optional<Clock::time_point> start_at;  // none: a worker runs
};

class Master {
 public:
  Master(const PreforkOptions& options, const std::function<void(Listener, unsigned)>& worker)
      : options_(options), worker_(worker) {
    ListenOptions how{.backlog = options.backlog, .reuse_port = true};
    SocketAddress address = options.address;
    for (unsigned i = 0; i < std::max(1U, options.workers); ++i) {
      Place& place = places_.emplace_back();
      place.listener = Listener(address, how);
      address = place.listener.address();  // of the port that was chosen
      place.start_at = Clock::now();
    }
  }

  int run() {
    while (!stopping_ || !children_.empty()) {
      if (!stopping_) start_due();
      switch (signals_.next(next_event())) {
        case SIGHUP:
          if (!stopping_) reload();
          break;
        case SIGTERM:
        case SIGINT:
          stopping_ = true;
          dismiss_all();
          break;
        default:
          break;
      }
      reap();
      kill_late();
    }
    return 0;
  }

 private:
  std::optional<Clock::time_point> next_event() const {
    std::optional<Clock::time_point> next;
    const auto consider = [&](Clock::time_point t) { next = next ? std::min(*next, t) : t; };
    if (!stopping_) {
      for (const Place& place : places_) {
        if (place.start_at) consider(*place.start_at);
      }
    }
    for (const Child& child : children_) {
      if (child.dismissed) consider(child.kill_at);
    }
    return next;
  }

  void start_due() {
    const auto now = Clock::now();
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].start_at && *places_[i].start_at <= now) start(i);
    }
  }

  void start(size_t index) {
    Place& place = places_[index];
    std::fflush(nullptr);  // else both processes would write what is buffered
    const pid_t master = getpid();
    const pid_t pid = fork();
    if (pid == 0) be_worker(index, master);
    if (pid < 0) return pause(place);
    place.start_at.reset();
    children_.push_back({pid, index, Clock::now()});
  }

  void pause(Place& place) {
    place.start_at = Clock::now() + place.pause;
    place.pause = std::min(place.pause * 2, kLongestPause);
  }

  [[noreturn]] void be_worker(size_t index, pid_t master) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int status = 1;
    if (getppid() == master) {
      signals_.give_back();
      Listener mine = std::move(places_[index].listener);
      for (Place& place : places_) {
        if (place.listener.is_open()) ::close(place.listener.release());
      }
      try {
        worker_(std::move(mine), static_cast<unsigned>(index));
        status = 0;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "tendril: worker %zu: %s\n", index, error.what());
      } catch (...) {
        std::fprintf(stderr, "tendril: worker %zu ended by an exception\n", index);
      }
    }
    std::fflush(nullptr);
    _exit(status);
  }

  void dismiss(Child& child) {
    if (child.dismissed) return;
    child.dismissed = true;
    child.kill_at = Clock::now() + options_.grace;
    ::kill(child.pid, SIGTERM);
  }

  void dismiss_all() {
    for (Child& child : children_) dismiss(child);
  }

  void reload() {
    if (options_.on_reload) options_.on_reload();
    const size_t old = children_.size();
    for (size_t i = 0; i < places_.size(); ++i) {
      places_[i].pause = kFirstPause;
      start(i);
    }
    for (size_t i = 0; i < old; ++i) dismiss(children_[i]);
  }

  void reap() {
    for (;;) {
      int status;
      const auto done = std::find_if(children_.begin(), children_.end(), [&](const Child& child) {
        return waitpid(child.pid, &status, WNOHANG) != 0;
      });
      if (done == children_.end()) return;
      const Child child = *done;
      children_.erase(done);
      if (child.dismissed) continue;
      Place& place = places_[child.place];
      if (Clock::now() - child.since >= options_.healthy_after) place.pause = kFirstPause;
      const bool early = Clock::now() - child.since < options_.healthy_after;
      if (early) {
        pause(place);
      } else {
        place.start_at = Clock::now();
      }
    }
  }

  void kill_late() {
    const auto now = Clock::now();
    for (Child& child : children_) {
      if (child.dismissed && child.kill_at <= now) {
        ::kill(child.pid, SIGKILL);
        child.kill_at = now + std::chrono::seconds(1);
      }
    }
  }

  const PreforkOptions& options_;
  const std::function<void(Listener, unsigned)>& worker_;
  SignalsTaken signals_;
  std::vector<Place> places_;
  std::vector<Child> children_;
  bool stopping_ = false;
};

}  // namespace

int run_prefork(const PreforkOptions& options,
                const std::function<void(Listener listener, unsigned number)>& worker) {
  if (rt::on_worker && !rt::is_interposed()) {
    throw MisuseError("tendril: run_prefork on an OS thread that runs fibers already");
  }
  return Master(options, worker).run();
}

}  // namespace tendril
