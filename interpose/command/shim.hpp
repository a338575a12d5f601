// Finding libtendril-interpose.so, and trying it out.
#pragma once

#include <string>

#include "interpose/command/environment.hpp"

namespace tendril::command {

// The absolute path of the shim: TENDRIL_LIBRARY, else beside this executable in ../lib or
// ../lib/x86_64-linux-gnu. Throws Refusal (126) if there is none, if it is no library that the
// loader could map, or if its path has a character that LD_PRELOAD cannot carry: the loader would
// then run the program without it.
std::string find_shim(const Environment& environment);

// Throws Refusal (126) if the library of switch points is not beside the shim.
void require_switchpoints(const std::string& shim);

// Empty if the loader really preloads `shim`, its libraries and symbols included; else what the
// loader says. Runs this executable, which must be a dynamic one, once more, with kTrial, on which
// it ends at once, and `shim` in `environment`.
inline constexpr char kTrial[] = "--trial";
std::string shim_load_error(const std::string& shim, const Environment& environment);

}  // namespace tendril::command
