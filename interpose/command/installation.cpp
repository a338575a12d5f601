#include "interpose/command/installation.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "interpose/command/path.hpp"
#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
constexpr std::array kLibraryDirectories = {"lib", "lib/x86_64-linux-gnu"};

}  // namespace

std::string installed_file(const std::string& name, const std::string& advice) {
  const std::string self = link_target(kSelf);
  if (self.empty())
    throw Refusal(kCannotRunStatus, "cannot find " + name + ", as " + kSelf + " is unreadable (" +
                                        std::strerror(errno) + "); mount /proc" + advice);
  const std::string prefix = directory_of(directory_of(self)) + "/";
  for (const char* directory : kLibraryDirectories) {
    std::string file = prefix;
    file.append(directory).append("/").append(name);
    if (::access(file.c_str(), F_OK) == 0) return file;
  }
  throw Refusal(kCannotRunStatus, name + ": not found in " + prefix + kLibraryDirectories[0] +
                                      "; build or install it" + advice);
}

}  // namespace tendril::command
