// Scripts: the "#!" line as the kernel reads it, and the command line of env(1), which many of them
// name. Pure functions on text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "interpose/command/environment.hpp"

namespace tendril::command {

inline constexpr size_t kHeadBytes = 256;   // what the kernel reads to tell formats apart
inline constexpr int kMaxInterpreters = 5;  // of one execve, before ELOOP

struct Shebang {
  std::string interpreter;
  std::optional<std::string> argument;  // the rest of the line, blanks and all, is one argument
};

// `head` is the file's first kHeadBytes, fewer if it is shorter. Empty if the kernel would not take
// it for a script: no "#!", no interpreter, or its name runs past the head.
std::optional<Shebang> parse_shebang(std::string_view head);

// Whether a shell would take a file of unknown format for shell commands: its first line has no
// NUL.
bool looks_like_text(std::string_view head);

struct EnvCommand {
  std::string program;              // what env will look for
  std::optional<std::string> path;  // PATH where the line itself sets it
};

// What `env argument script` runs, where `argument` is that of a "#!" line: "python3", or a whole
// command line after -S. `environment` serves ${NAME}. Empty when the line names no program: env
// would then run the script itself again.
std::optional<EnvCommand> parse_env_argument(std::string_view argument,
                                             const Environment& environment);

}  // namespace tendril::command
