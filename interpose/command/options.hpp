// The command line and the TENDRIL_* variables, which are its defaults.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interpose/command/environment.hpp"

namespace tendril::command {

enum class Action {
  kRun,    // words: the program and its arguments
  kCheck,  // words: the programs to check, perhaps none
  kPrint,  // text: for stdout
};

struct Options {
  Action action = Action::kRun;
  Settings settings;
  std::vector<std::string> words;
  std::string text;
};

// `arguments` without argv[0]. Options end at the first word that is none, or at "--"; everything
// from there on is the program's. Throws Refusal (2) for an unknown option, a bad value on the line
// or in the environment, and when no program is named.
Options parse_options(const std::vector<std::string>& arguments, const Environment& environment);

// "65536", "64K", "1M" in bytes, rounded up to whole pages. Throws Refusal (2), naming `source`.
size_t parse_stack_size(std::string_view text, std::string_view source);

// Throws Refusal (2), naming `source`.
uint64_t parse_seed(std::string_view text, std::string_view source);

// "report" (false) or "exit" (true). Throws Refusal (2), naming `source`.
bool parse_on_deadlock(std::string_view text, std::string_view source);

// Throws Refusal (2), naming `source`.
unsigned parse_workers(std::string_view text, std::string_view source);

}  // namespace tendril::command
