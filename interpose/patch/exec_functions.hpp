// libc's execve, execveat and fexecve, replaced.
//
// All of libc execs through these (execvp, posix_spawn, system, popen, wordexp…), by calls that
// no symbol of ours can come between, in processes that are dormant, too, and in children on
// borrowed memory. They are replaced when the shim is loaded, so that the shim can give children an
// environment that this program does not see.
#pragma once

namespace tendril::patch {

// False: libc's code is not what we know, or may not be written.
bool replace_exec_functions() noexcept;

}  // namespace tendril::patch
