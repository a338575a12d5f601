// The API in the child of fork: the flow of control that called it goes on, with the greenlets that
// wait to be switched to; all other fibers, of whichever thread, are no more. Their destructors do
// not run, and those who join them find them ended by GreenletExit.
#pragma once

#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

// In the child of a green process's fork, which is dormant again: the record that the flow had in
// the parent, for the fiber that it becomes. Once; null otherwise.
FiberRecord* take_record_over_fork() noexcept;

// A spawned fiber that called fork is about to end in the child, where it stands for what the
// process began with. Waits for the fibers that it made; then the process exits, as it does when
// its last thread ends.
[[noreturn]] void end_forked_child() noexcept;

}  // namespace tendril::detail
