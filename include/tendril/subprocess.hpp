// Children: programs run beside the fibers. (gevent: subprocess)
//
//   auto listing = run({"ls", "-l"});
//   use(listing.output);
//
// A child is waited for by its process descriptor: SIGCHLD and other children stay the program's.
#pragma once

#include <sys/types.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tendril/stream.hpp"

namespace tendril {

// How a child has ended.
struct ExitStatus {
  int code = 0;    // 0 to 255, if it exited
  int signal = 0;  // > 0: which signal has killed it
  bool success() const noexcept { return code == 0 && signal == 0; }
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

enum class Redirect {
  kInherit,   // the parent's own
  kPipe,      // a pipe to the parent
  kNull,      // /dev/null
  kToStdout,  // standard error only: where standard output goes
};

struct SubprocessOptions {
  Redirect input = Redirect::kInherit;
  Redirect output = Redirect::kInherit;
  Redirect error = Redirect::kInherit;
  std::string directory = {};                                // to run in; empty: the parent's
  std::optional<std::vector<std::string>> environment = {};  // "NAME=value"; none: the parent's
  bool new_session = false;  // setsid, e.g. to signal all of its children
};

struct Output {
  std::string output;
  std::string error;
};

// A running child. Move-only. The destructor kills it (SIGKILL) if it still runs, and reaps it: no
// zombie stays. Waits end by kill and Timeout like any other.
class Subprocess {
 public:
  // The program is looked for in PATH. Signals have their default actions in it, none is blocked.
  // Throws std::system_error: ENOENT and the like when it cannot be run.
  explicit Subprocess(const std::vector<std::string>& arguments,
                      const SubprocessOptions& options = {});
  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&& other) noexcept;
  ~Subprocess();

  pid_t pid() const noexcept { return pid_; }
  // The parent's ends of the pipes asked for.
  FdStream& input() noexcept { return input_; }
  FdStream& output() noexcept { return output_; }
  FdStream& error() noexcept { return error_; }

  // Waits until it has ended; throws TimeoutError, and it runs on. Ask as often as wanted.
  ExitStatus wait(Duration timeout = kForever);
  // Empty while it runs.
  std::optional<ExitStatus> poll();
  // Does nothing when it has ended.
  void send_signal(int signal);
  void terminate();  // SIGTERM
  void kill();       // SIGKILL

  // Writes the text to its input, closes it, reads output and error to their ends, waits for the
  // end; all at once, so no pipe can clog. After a TimeoutError the child runs on and communicate
  // may be called again, without text: nothing is lost. A child that does not read is no error.
  Output communicate(std::string_view text = {}, Duration timeout = kForever);

 private:
  void end() noexcept;

  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<ExitStatus> status_;
  FdStream input_;
  FdStream output_;
  FdStream error_;
  std::string to_write_;  // by communicate, what is left of it
  Output read_;           // by communicate, so far
};

struct CompletedProcess : Output {
  ExitStatus status;
};

struct RunOptions {
  std::string_view input = {};
  Duration timeout = kForever;
  bool check = false;  // throw SubprocessError if it fails
  SubprocessOptions process = {};
};

class SubprocessError : public std::runtime_error {
 public:
  SubprocessError(const std::string& program, CompletedProcess process);
  const CompletedProcess& process() const noexcept { return process_; }

 private:
  CompletedProcess process_;
};

// Runs it to its end and returns what it wrote. On a timeout it is killed and TimeoutError thrown.
CompletedProcess run(const std::vector<std::string>& arguments, const RunOptions& options = {});

}  // namespace tendril
