// From the words of the command line to what execve is given, with every file on the way checked.
#pragma once

#include <string>
#include <vector>

#include "interpose/command/environment.hpp"

namespace tendril::command {

struct Executable {
  std::string path;                    // for execve
  std::vector<std::string> arguments;  // for execve: argv[0] is the name as the user gave it
  std::string runs;                    // for people: "/x/script (by /usr/bin/python3)"
};

// Finds the program `words[0]` as execvp would and follows "#!" lines down to the ELF program that
// will run, through `#!/usr/bin/env name` too. A text file without "#!" is run by /bin/sh, as
// shells and execvp do. Throws Refusal: 127 if the program or an interpreter is missing, 126 if one
// of them cannot be executed, or cannot be run green (static, 32-bit, privileged: see elf_file.hpp
// and privilege.hpp).
Executable find_executable(const std::vector<std::string>& words, const Environment& environment);

}  // namespace tendril::command
