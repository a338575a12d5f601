// Finding the file that a name means, by execvp's rules.
#pragma once

#include <string>

#include "interpose/command/environment.hpp"

namespace tendril::command {

// Throws Refusal unless `path` is a regular file that this process may execute: 127 where nothing
// is there, else 126. `subject` opens the message ("./script: its interpreter /x").
void require_executable(const std::string& path, const std::string& subject);

// The path of the program `name`: itself if it has a slash, else the first executable file of that
// name in PATH (or in the system's default where PATH is not set; an empty entry is the current
// directory). As with execvp, what may not be executed is passed over and remembered: if nothing
// better comes, it is 126 and not 127. Throws Refusal.
std::string locate(const std::string& name, const Environment& environment,
                   const std::string& subject);

}  // namespace tendril::command
