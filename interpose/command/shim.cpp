#include "interpose/command/shim.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "interpose/command/elf_file.hpp"
#include "interpose/command/installation.hpp"
#include "interpose/command/path.hpp"
#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
constexpr char kShimName[] = "libtendril-interpose.so";

[[noreturn]] void refuse(const std::string& text) { throw Refusal(kCannotRunStatus, text); }

// The directory resolved and the name kept, which says more than that of a versioned file.
std::string settled(const std::string& path) {
  const std::string directory = resolved(directory_of(path));
  return directory.empty() ? path : directory + "/" + std::string(file_name(path));
}

}  // namespace

std::string find_shim(const Environment& environment) {
  std::string_view given = lookup(environment, "TENDRIL_LIBRARY").value_or("");
  std::string shim = settled(given.empty() ? installed_file(kShimName, ", or set TENDRIL_LIBRARY")
                                           : std::string(given));
  const char* advice = given.empty() ? "; build or install it again"
                                     : "; set TENDRIL_LIBRARY to libtendril-interpose.so";
  if (std::string defect = shared_object_defect(shim); !defect.empty())
    refuse("the shim " + shim + " " + defect + advice);
  // Separators of the list, and the start of $ORIGIN and the like.
  if (shim.find_first_of(" :$") != std::string::npos)
    refuse("the shim " + shim +
           ": LD_PRELOAD cannot carry a path with a space, colon or dollar sign; install tendril "
           "elsewhere, or set TENDRIL_LIBRARY");
  return shim;
}

void require_switchpoints(const std::string& shim) {
  const std::string library = switchpoints_beside(shim);
  if (std::string defect = shared_object_defect(library); !defect.empty())
    refuse("a seed needs " + library + ", which " + defect + "; build or install it again");
}

std::string shim_load_error(const std::string& shim, const Environment& environment) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::strerror(errno);
  Environment green = green_environment(environment, shim, Settings{});
  std::vector<char*> variables;
  for (std::string& variable : green) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string self = kSelf, trial = kTrial;
  std::array<char*, 3> arguments = {self.data(), trial.data(), nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  pid_t child = 0;
  int error = ::posix_spawn(&child, kSelf, &actions, nullptr, arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);

  std::string said;
  std::array<char, 512> buffer;
  ssize_t size;
  while (error == 0 && (size = ::read(ends[0], buffer.data(), buffer.size())) > 0)
    said.append(buffer.data(), static_cast<size_t>(size));
  ::close(ends[0]);
  if (error != 0) return std::strerror(error);

  int status = 0;
  ::waitpid(child, &status, 0);
  if (!said.empty()) return said.substr(0, said.find('\n'));
  if (WIFSIGNALED(status)) return std::string("a program dies of ") + ::strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "status " + std::to_string(WEXITSTATUS(status));
  return {};
}

}  // namespace tendril::command
