// Calls that come from patched sites.
#pragma once

namespace tendril::patch {

// Fills the table by which the assembly entry decides. False if this CPU cannot save its vector
// state as the entry does (XSAVEC): then nothing is patched.
bool prepare_calls() noexcept;

}  // namespace tendril::patch
