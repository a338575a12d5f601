// Descriptors of the runtime's own, which the program is not to meet.
#pragma once

namespace tendril::rt {

// Moves an internal descriptor out of the program's sight: close-on-exec and as high as is
// reasonable. Returns the new number; on failure the old one. `fd` is gone afterwards.
int hide_descriptor(int fd) noexcept;

// True for descriptors that hide_descriptor returned.
bool is_hidden_descriptor(int fd) noexcept;
void close_hidden_descriptor(int fd) noexcept;

}  // namespace tendril::rt
