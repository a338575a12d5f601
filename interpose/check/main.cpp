// The program behind `tendril check`. It is one of its own because the command is static, for the
// sake of its start: this one is loaded as those programs are that are to run green, so it sees the
// glibc that they will have, and starts itself once more to try the shim out.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "interpose/command/check.hpp"
#include "interpose/command/environment.hpp"
#include "interpose/command/message.hpp"
#include "interpose/command/refusal.hpp"
#include "interpose/command/shim.hpp"

// By this the shim knows, if it is preloaded here, that TENDRIL_* are to be left alone.
extern "C" {
extern __attribute__((visibility("default"))) const char tendril_command_marker;
__attribute__((used)) const char tendril_command_marker = 1;
}

// Arguments: what tendril::command::shim_load_error gives it, or "--" and the programs to check.
int main(int argc, char** argv) {
  using namespace tendril::command;
  if (argc == 2 && std::string_view(argv[1]) == kTrial) return 0;
  if (argc < 2 || std::string_view(argv[1]) != "--") {
    say("tendril-check is a part of tendril; say tendril check [program...]");
    return kUsageStatus;
  }
  try {
    const Report report = check({argv + 2, argv + argc}, copy_environment(environ));
    return print(report.text, report.ready ? 0 : kNotReadyStatus);
  } catch (const std::exception& error) {
    say(std::string(error.what()) + "; free memory and try again");
    return kCannotRunStatus;
  }
}
