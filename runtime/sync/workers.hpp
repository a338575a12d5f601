// The workers of the explicit API: one for each OS thread that used it, each with a poller of its
// own.
#pragma once

#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"

namespace tendril::detail {

// Known from now on to forget_everywhere. A worker is never freed, only reused.
void note_worker(rt::Worker* worker) noexcept;

// The descriptor is about to be closed: whoever waits on it, on any worker, is woken with kClosed.
void forget_everywhere(int fd) noexcept;

// Drops a registration that may be of an earlier owner of the number, closed behind our back.
// Nothing happens while somebody waits on it.
void forget_if_stale(rt::Poller& poller, int fd, rt::FdState& state) noexcept;

}  // namespace tendril::detail
