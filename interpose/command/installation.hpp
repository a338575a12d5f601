// The files that are installed with the executable that asks.
#pragma once

#include <string>

namespace tendril::command {

// The path of ../lib/name or ../lib/x86_64-linux-gnu/name, seen from the executable's directory.
// Throws Refusal (126) if neither is there.
std::string installed_file(const std::string& name);

}  // namespace tendril::command
