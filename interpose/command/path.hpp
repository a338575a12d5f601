// Paths as texts. Not by <filesystem>, which brings in the C++ library's streams and locales: they
// are a third of what a start of the command costs.
#pragma once

#include <string>
#include <string_view>

namespace tendril::command {

// What follows the last slash: all of "ls", nothing of "bin/".
constexpr std::string_view file_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

// What comes before the last slash: "." of "ls", "/" of "/ls".
std::string directory_of(std::string_view path);

// Where a symbolic link leads, as it says itself; empty, with errno set, if that cannot be read.
std::string link_target(const std::string& path);

// Absolute, without links; empty, with errno set, if there is no such file.
std::string resolved(const std::string& path);

}  // namespace tendril::command
