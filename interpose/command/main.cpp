// The `tendril` command: checks a program and executes it in place of itself with the shim
// preloaded, so that its status and the signal that it dies of are its own.

#include <elf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "interpose/command/environment.hpp"
#include "interpose/command/executable.hpp"
#include "interpose/command/installation.hpp"
#include "interpose/command/machine.hpp"
#include "interpose/command/message.hpp"
#include "interpose/command/options.hpp"
#include "interpose/command/refusal.hpp"
#include "interpose/command/shim.hpp"

// By this a green program that executes the command knows that it takes TENDRIL_* and a preloaded
// shim, though it is static: an ELF note, of no type in particular.
namespace {
struct Note {
  Elf64_Nhdr header;
  char name[8];
};
__attribute__((section(".note.tendril"), used, aligned(4))) constexpr Note kNote = {
    {.n_namesz = sizeof "Tendril", .n_descsz = 0, .n_type = 1}, "Tendril"};
}  // namespace

namespace tendril::command {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

std::string announcement(const Executable& executable, const std::string& shim,
                         const Settings& settings) {
  std::string text = "running " + executable.runs + " green: workers ";
  text += settings.workers ? std::to_string(*settings.workers) : "one a usable core";
  if (settings.seed) text += ", seed " + std::to_string(*settings.seed);
  if (settings.stack_bytes) text += ", stack size " + std::to_string(*settings.stack_bytes);
  return text + ", shim " + shim;
}

// Does not return unless by throwing Refusal.
[[noreturn]] void run(const Options& options, const Environment& environment) {
  Executable executable = find_executable(options.words, environment);
  if (std::string defect = dispatch_defect(); !defect.empty())
    throw Refusal(kCannotRunStatus, defect);
  std::string shim = find_shim(environment);
  if (options.settings.seed) require_switchpoints(shim);
  if (options.settings.verbose) say(announcement(executable, shim, options.settings));

  Environment green = green_environment(environment, shim, options.settings);
  ::execve(executable.path.c_str(), pointers(executable.arguments).data(), pointers(green).data());
  int error = errno;
  throw Refusal(error == ENOENT ? kNotFoundStatus : kCannotRunStatus,
                options.words.front() + ": cannot be executed (" + std::strerror(error) +
                    "); try it without tendril to see whether it runs at all");
}

// By a program that the loader loads as it will those to be checked (interpose/check).
[[noreturn]] void run_check(const Options& options, const Environment& environment) {
  const std::string program = installed_file("tendril-check");
  std::vector<std::string> arguments = {program, "--"};
  arguments.insert(arguments.end(), options.words.begin(), options.words.end());
  ::execve(program.c_str(), pointers(arguments).data(), pointers(environment).data());
  throw Refusal(kCannotRunStatus, program + ": cannot be executed (" + std::strerror(errno) +
                                      "); build or install it again");
}

int act(const std::vector<std::string>& arguments, const Environment& environment) {
  Options options = parse_options(arguments, environment);
  switch (options.action) {
    case Action::kPrint:
      return print(options.text, 0);
    case Action::kCheck:
      run_check(options, environment);
    case Action::kRun:
      run(options, environment);
  }
  return kUsageStatus;
}

}  // namespace
}  // namespace tendril::command

int main(int argc, char** argv) {
  using namespace tendril::command;
  try {
    return act({argv + (argc > 0 ? 1 : 0), argv + argc}, copy_environment(environ));
  } catch (const Refusal& refusal) {
    say(refusal.what());
    return refusal.status();
  } catch (const std::exception& error) {
    say(std::string(error.what()) + "; free memory and try again");
    return kCannotRunStatus;
  }
}
