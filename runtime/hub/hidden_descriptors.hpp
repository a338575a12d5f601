// Descriptors of the runtime's own, which the program is not to meet.
#pragma once

namespace tendril::rt {

// Moves an internal descriptor out of the program's sight: close-on-exec and as high as is
// reasonable. Returns the new number; on failure the old one. `fd` is gone afterwards.
int hide_descriptor(int fd) noexcept;

// The same with a duplicate of one that stays. Negative: there is none.
int duplicate_hidden(int fd) noexcept;

// True for descriptors that these have returned.
bool is_hidden_descriptor(int fd) noexcept;
// The lowest of them from `first` on; negative: there is none.
int next_hidden_descriptor(unsigned first) noexcept;
void close_hidden_descriptor(int fd) noexcept;

}  // namespace tendril::rt
