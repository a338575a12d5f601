#include "interpose/command/locate.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

// What the POSIX utilities are found in, where PATH is not set.
constexpr std::string_view kDefaultPath = "/bin:/usr/bin";

// 0, or why execve would refuse the file: EISDIR where it says EACCES for a directory.
int executable_error(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (!S_ISREG(status.st_mode)) return EACCES;
  // With the effective ids, which is what execve goes by; sees noexec mounts too.
  if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return errno;
  return 0;
}

[[noreturn]] void refuse(const std::string& path, const std::string& subject, int error) {
  switch (error) {
    case ENOENT:
      throw Refusal(kNotFoundStatus, subject + ": no such file; check the path");
    case EISDIR:
      throw Refusal(kCannotRunStatus, subject + ": is a directory; name a program");
    case EACCES: {
      struct stat status;
      bool visible = ::stat(path.c_str(), &status) == 0;
      if (visible && !S_ISREG(status.st_mode))
        throw Refusal(kCannotRunStatus, subject + ": is not a regular file; name a program");
      if (visible && (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
        throw Refusal(kCannotRunStatus,
                      subject + ": is not executable; if it is a program, chmod +x it");
      throw Refusal(kCannotRunStatus,
                    subject +
                        ": permission denied; check the mode of the file and of the "
                        "directories above it, and that its file system allows exec");
    }
    default:
      throw Refusal(kCannotRunStatus, subject + ": " + std::strerror(error) + "; check the path");
  }
}

}  // namespace

void require_executable(const std::string& path, const std::string& subject) {
  if (int error = executable_error(path)) refuse(path, subject, error);
}

std::string locate(const std::string& name, const Environment& environment,
                   const std::string& subject) {
  if (name.empty()) throw Refusal(kNotFoundStatus, "the program's name is empty; give one");
  if (name.find('/') != std::string::npos) {
    require_executable(name, subject);
    return name;
  }

  std::string_view path = lookup(environment, "PATH").value_or(kDefaultPath);
  std::string forbidden;
  int forbidden_error = 0;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = path.find(':', begin);
    if (end == std::string_view::npos) end = path.size();
    std::string directory(path.substr(begin, end - begin));
    begin = end + 1;

    std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    int error = executable_error(candidate);
    switch (error) {
      case 0:
        return candidate;
      case EACCES:
      case EISDIR:
        if (forbidden.empty()) {
          forbidden = candidate;
          forbidden_error = error;
        }
        break;
      case ENOENT:
      case ENOTDIR:
      case ESTALE:
      case ENODEV:
      case ETIMEDOUT:
        break;  // the list of glibc's execvp
      default:
        refuse(candidate, subject, error);
    }
  }
  if (!forbidden.empty()) {
    // A directory of PATH that may not be searched hides what it has: naming a file in it would
    // mislead.
    struct stat status;
    if (::stat(forbidden.c_str(), &status) == 0)
      refuse(forbidden, subject + ": " + forbidden, forbidden_error);
    throw Refusal(kCannotRunStatus, subject + ": not found, and a directory of PATH may not be " +
                                        "searched (for " + forbidden + "); check PATH");
  }
  throw Refusal(kNotFoundStatus, subject + ": not found in PATH; check the name or give a path");
}

}  // namespace tendril::command
