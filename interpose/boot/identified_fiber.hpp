// Explicit fibers in a green process.
//
// A fiber that calls blocking C libraries must not share its thread identity with others: recursive
// mutexes and FILE locks would not keep two fibers of one OS thread apart, and a thread-local of
// libpq or OpenSSL would be seen by both. So here a fiber runs on a green thread of its own, made
// by glibc's pthread_create.
#pragma once

namespace tendril::boot {

// Tells the runtime to make its fibers so. Called when the shim is loaded.
void offer_identified_fibers() noexcept;

}  // namespace tendril::boot
