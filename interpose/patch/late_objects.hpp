// Objects that are opened, and closed, while the process is green.
//
// The loader's own system calls are not rewritten, so each of them comes by the trap, whoever made
// it open something (dlopen, NSS, iconv, pthread_cancel). It maps a file, relocates it, makes its
// relocated data read-only, and only then runs its constructors and tells others of it: the moment
// of that mprotect is ours. An object without such data stays with the trap.
#pragma once

#include "interpose/patch/code_object.hpp"

namespace tendril::patch {

void watch_loader(const CodeObject& loader) noexcept;

}  // namespace tendril::patch
