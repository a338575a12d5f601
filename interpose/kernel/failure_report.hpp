// What a failing run says of itself so that it can be repeated.
#pragma once

namespace tendril::kernel {

// The process is about to end with a status other than 0, or of a signal, or has come to a
// standstill: under a seed, says which, once. Runtime code.
void report_seed_of_failure() noexcept;

}  // namespace tendril::kernel
