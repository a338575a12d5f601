// The files that are installed with the executable that asks.
#pragma once

#include <string>

namespace tendril::command {

// The path of ../lib/name or ../lib/x86_64-linux-gnu/name, seen from the executable's directory.
// Throws Refusal (126) if neither is there; `advice` is what else could be done.
std::string installed_file(const std::string& name, const std::string& advice = {});

}  // namespace tendril::command
