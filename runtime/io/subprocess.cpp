#include "tendril/subprocess.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/platform/syscall.hpp"
#include "runtime/sync/attention.hpp"
#include "tendril/errors.hpp"
#include "tendril/io.hpp"
#include "tendril/scope.hpp"
#include "tendril/timeout.hpp"

namespace tendril {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

// What posix_spawn is to do in the child.
class Plan {
 public:
  Plan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~Plan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // Gives the child its standard descriptor `target`; returns the parent's end of a pipe, if any.
  FdStream redirect(int target, Redirect how) {
    switch (how) {
      case Redirect::kInherit:
        break;
      case Redirect::kNull:
        check(posix_spawn_file_actions_addopen(&actions_, target, "/dev/null",
                                               target == 0 ? O_RDONLY : O_WRONLY, 0));
        break;
      case Redirect::kToStdout:
        check(posix_spawn_file_actions_adddup2(&actions_, 1, target));
        break;
      case Redirect::kPipe: {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe");
        const int child_end = target == 0 ? 0 : 1;
        FdStream ours(ends[1 - child_end]);
        childs_[target] = FdStream(ends[child_end]);
        // The same number would keep close-on-exec; a higher one never collides.
        if (ends[child_end] <= 2) {
          const int high = ::fcntl(ends[child_end], F_DUPFD_CLOEXEC, 3);
          if (high < 0) fail(errno, "pipe");
          childs_[target] = FdStream(high);
        }
        check(posix_spawn_file_actions_adddup2(&actions_, childs_[target].fd(), target));
        return ours;
      }
    }
    return FdStream();
  }

  pid_t start(const std::vector<std::string>& arguments, const SubprocessOptions& options) {
    if (!options.directory.empty()) {
      check(posix_spawn_file_actions_addchdir_np(&actions_, options.directory.c_str()));
    }
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (options.new_session) flags |= POSIX_SPAWN_SETSID;
    sigset_t set;
    sigemptyset(&set);
    check(posix_spawnattr_setsigmask(&attributes_, &set));
    sigfillset(&set);
    check(posix_spawnattr_setsigdefault(&attributes_, &set));
    check(posix_spawnattr_setflags(&attributes_, flags));

    std::vector<char*> environment;
    if (options.environment) environment = pointers(*options.environment);
    pid_t pid;
    check(posix_spawnp(&pid, arguments.front().c_str(), &actions_, &attributes_,
                       pointers(arguments).data(),
                       options.environment ? environment.data() : ::environ),
          arguments.front());
    return pid;
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> all;
    all.reserve(strings.size() + 1);
    for (const std::string& string : strings) all.push_back(const_cast<char*>(string.c_str()));
    all.push_back(nullptr);
    return all;
  }
  static void check(int error, const std::string& what = "posix_spawn") {
    if (error != 0) fail(error, what);
  }

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  FdStream childs_[3];  // its ends of the pipes, closed here once it has them
};

}  // namespace

Subprocess::Subprocess(const std::vector<std::string>& arguments,
                       const SubprocessOptions& options) {
  if (arguments.empty()) throw std::invalid_argument("tendril: no program to run");
  Plan plan;
  FdStream in = plan.redirect(0, options.input);
  FdStream out = plan.redirect(1, options.output);
  FdStream error = plan.redirect(2, options.error);
  pid_ = plan.start(arguments, options);
  pidfd_ = static_cast<int>(rt::raw_syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) {
    const int reason = -pidfd_;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    fail(reason, "pidfd_open");
  }
  input_ = std::move(in);
  output_ = std::move(out);
  error_ = std::move(error);
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      status_(other.status_),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      error_(std::move(other.error_)),
      to_write_(std::move(other.to_write_)),
      read_(std::move(other.read_)) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::exchange(other.pidfd_, -1);
    status_ = other.status_;
    input_ = std::move(other.input_);
    output_ = std::move(other.output_);
    error_ = std::move(other.error_);
    to_write_ = std::move(other.to_write_);
    read_ = std::move(other.read_);
  }
  return *this;
}

Subprocess::~Subprocess() { end(); }

void Subprocess::end() noexcept {
  if (pidfd_ < 0) return;
  // A kill of this fiber must not keep it from reaping; the wait is short after SIGKILL.
  const detail::Shield shield(detail::current_record());
  try {
    kill();
    wait();
  } catch (const std::system_error&) {
    // Somebody else has reaped it.
  }
  try {
    io::close(std::exchange(pidfd_, -1));
  } catch (const std::system_error&) {
    // It is gone, and a destructor has nobody to tell.
  }
}

std::optional<ExitStatus> Subprocess::poll() {
  if (status_) return status_;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED | WNOHANG) != 0) {
    fail(errno, "waitid");
  }
  if (info.si_pid == 0) return std::nullopt;
  status_ =
      info.si_code == CLD_EXITED ? ExitStatus{info.si_status, 0} : ExitStatus{0, info.si_status};
  return status_;
}

ExitStatus Subprocess::wait(Duration timeout) {
  if (!poll()) {
    if (!io::wait_read(pidfd_, timeout)) throw TimeoutError("wait for a child");
    if (!poll()) fail(ECHILD, "waitid");
  }
  return *status_;
}

void Subprocess::send_signal(int signal) {
  if (poll()) return;
  const long result = rt::raw_syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0);
  if (result < 0 && result != -ESRCH) fail(static_cast<int>(-result), "kill");
}
void Subprocess::terminate() { send_signal(SIGTERM); }
void Subprocess::kill() { send_signal(SIGKILL); }

Output Subprocess::communicate(std::string_view text, Duration timeout) {
  to_write_ += text;
  Timeout limit(timeout);
  Scope scope;
  if (input_.is_open()) {
    scope.spawn([this] {
      try {
        while (!to_write_.empty()) {
          to_write_.erase(0, io::write(input_.fd(), to_write_.data(), to_write_.size()));
        }
        input_.close();
      } catch (const std::system_error& error) {
        if (error.code().value() != EPIPE) throw;
        input_.close();
      }
    });
  }
  const auto read_to_end = [](FdStream& stream, std::string& into) {
    char buffer[16 * 1024];
    while (const size_t part = stream.read(buffer, sizeof buffer)) into.append(buffer, part);
    stream.close();
  };
  if (output_.is_open()) scope.spawn([&] { read_to_end(output_, read_.output); });
  if (error_.is_open()) scope.spawn([&] { read_to_end(error_, read_.error); });
  scope.join();
  wait();
  return std::exchange(read_, {});
}

SubprocessError::SubprocessError(const std::string& program, CompletedProcess process)
    : std::runtime_error("tendril: '" + program + "' " +
                         (process.status.signal > 0
                              ? "was killed by signal " + std::to_string(process.status.signal)
                              : "exited with " + std::to_string(process.status.code))),
      process_(std::move(process)) {}

CompletedProcess run(const std::vector<std::string>& arguments, const RunOptions& options) {
  SubprocessOptions how = options.process;
  how.input = Redirect::kPipe;
  how.output = Redirect::kPipe;
  if (how.error == Redirect::kInherit) how.error = Redirect::kPipe;
  Subprocess child(arguments, how);
  CompletedProcess done;
  static_cast<Output&>(done) = child.communicate(options.input, options.timeout);
  done.status = child.wait();
  if (options.check && !done.status.success()) throw SubprocessError(arguments[0], std::move(done));
  return done;
}

}  // namespace tendril
