#include "interpose/command/executable.hpp"

#include <cerrno>
#include <cstring>
#include <optional>

#include "interpose/command/elf_file.hpp"
#include "interpose/command/file.hpp"
#include "interpose/command/locate.hpp"
#include "interpose/command/path.hpp"
#include "interpose/command/privilege.hpp"
#include "interpose/command/refusal.hpp"
#include "interpose/command/script.hpp"

namespace tendril::command {
namespace {

constexpr char kShell[] = "/bin/sh";
constexpr int kMaxEnvSteps = 8;  // each is an execve of its own; a script may name itself for ever

std::string interpreter_of(const std::string& subject, const std::string& name) {
  return subject + ": its interpreter " + name;
}

// Follows one program to the ELF file that runs it. One object for each chain.
class Chain {
 public:
  explicit Chain(const Environment& environment) : environment_(environment) {}

  // `path` is executable. Returns whether a shell has to run it; program() is set then, too.
  bool follow(const std::string& path, const std::string& subject) {
    std::string current = path;
    std::string about = subject;
    for (int depth = 0;; ++depth) {
      File file = open(current, about);
      std::string head = file.head(kHeadBytes);
      if (is_elf(head)) {
        accept_elf(file, current, about);
        return false;
      }
      std::optional<Shebang> shebang = parse_shebang(head);
      if (!shebang) {
        // As execvp does with the program itself; of an interpreter the kernel asks more.
        if (depth == 0 && looks_like_text(head)) {
          accept_shell(subject);
          return true;
        }
        throw Refusal(kCannotRunStatus,
                      about +
                          ": is neither a program nor a script (exec format error); check the "
                          "file");
      }
      if (depth == kMaxInterpreters)
        throw Refusal(kCannotRunStatus,
                      subject +
                          ": its interpreters are scripts of scripts, more than the kernel's " +
                          std::to_string(kMaxInterpreters) + "; name a program on its #! line");
      current = shebang->interpreter;
      about = interpreter_of(subject, current);
      require_executable(current, about);
      if (file_name(current) == "env") {
        follow_env(*shebang, subject, about);
        return false;
      }
    }
  }

  const std::string& program() const { return program_; }

 private:
  static File open(const std::string& path, const std::string& about) {
    File file = File::open(path);
    if (file) return file;
    int error = errno;
    refuse_privileged(path, about);  // it is often unreadable as well, and this is what matters
    throw Refusal(kCannotRunStatus, about + ": cannot be read (" + std::strerror(error) +
                                        "), so tendril cannot see how it is linked; make it "
                                        "readable, or run it without tendril");
  }

  static void refuse_privileged(const std::string& path, const std::string& about) {
    if (std::optional<std::string> reason = secure_mode_reason(path))
      throw Refusal(kCannotRunStatus,
                    about + ": " + *reason +
                        ", and the loader ignores a preloaded shim in such a program; run it "
                        "without tendril, or as a copy without the privilege");
  }

  void accept_elf(const File& file, const std::string& path, const std::string& about) {
    dynamic_loader(file.fd(), about);
    refuse_privileged(path, about);
    program_ = path;
  }

  void accept_shell(const std::string& subject) {
    std::string about = subject + ": is text, and its shell " + kShell;
    require_executable(kShell, about);
    accept_elf(open(kShell, about), kShell, about);
  }

  // `#!/usr/bin/env name`: env must be green itself, as it execs the named program with what it
  // has.
  void follow_env(const Shebang& shebang, const std::string& subject, const std::string& about) {
    accept_elf(open(shebang.interpreter, about), shebang.interpreter, about);
    std::optional<EnvCommand> command =
        parse_env_argument(shebang.argument.value_or(""), environment_);
    if (!command || command->program.empty())
      throw Refusal(kCannotRunStatus,
                    subject + ": its #! line names " + shebang.interpreter +
                        " without a program, which would run the script again; name one");
    if (++env_steps_ > kMaxEnvSteps)
      throw Refusal(kCannotRunStatus,
                    subject + ": its #! line leads through env in a circle; name a program on it");
    Environment environment = environment_;
    if (command->path) assign(environment, "PATH", command->path);
    std::string named = interpreter_of(subject, command->program);
    follow(locate(command->program, environment, named), named);
  }

  const Environment& environment_;
  std::string program_;
  int env_steps_ = 0;
};

}  // namespace

Executable find_executable(const std::vector<std::string>& words, const Environment& environment) {
  const std::string& name = words.front();
  Executable executable{locate(name, environment, name), words, {}};
  executable.runs = executable.path;

  Chain chain(environment);
  bool by_shell = chain.follow(executable.path, name);
  if (by_shell) {
    // What execvp passes: "/bin/sh path arguments…".
    executable.arguments.front() = executable.path;
    executable.arguments.insert(executable.arguments.begin(), kShell);
    executable.path = kShell;
  }
  if (chain.program() != executable.runs) executable.runs += " (by " + chain.program() + ")";
  return executable;
}

}  // namespace tendril::command
