// setuid and its kin, which concern every worker's OS thread: see sys_credentials.cpp.
#pragma once

namespace tendril::kernel {

// Another thread may have been in the middle of it.
void credentials_reset_after_fork() noexcept;

}  // namespace tendril::kernel
