// `tendril check`: whether this machine can run green programs, and which.
#pragma once

#include <string>
#include <vector>

#include "interpose/command/environment.hpp"

namespace tendril::command {

struct Report {
  bool ready = true;  // nothing that green programs need is missing
  std::string text;   // lines for stdout
};

// Looks at the machine, the shim and each program. What is missing is in the report; never throws
// Refusal.
Report check(const std::vector<std::string>& programs, const Environment& environment);

}  // namespace tendril::command
