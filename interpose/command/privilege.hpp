// Whether the kernel would start a program in secure mode (AT_SECURE), in which glibc's loader
// ignores LD_PRELOAD and GLIBC_TUNABLES: such a program cannot be interposed.
#pragma once

#include <optional>
#include <string>

namespace tendril::command {

// Empty if `path`, executed by this process, starts in normal mode; else why not, as a clause that
// follows the program's name: "is set-user-ID (user 0)". A set-ID bit that changes nothing (root
// running a set-user-ID root file, a nosuid mount, no_new_privs) is no reason. Secure mode that a
// security module (SELinux, AppArmor) orders is not foreseen.
std::optional<std::string> secure_mode_reason(const std::string& path);

}  // namespace tendril::command
