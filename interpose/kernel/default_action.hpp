// What a signal does when its handler is SIG_DFL.
#pragma once

namespace tendril::kernel {

enum class DefaultAction { kTerminate, kIgnore, kStop, kContinue };
DefaultAction default_action(int signal) noexcept;

// Carries out the default action of a signal that is not ignored by default: the process dies of it
// as it would natively; for a stop signal it returns when the process is continued.
void take_default_action(int signal) noexcept;

}  // namespace tendril::kernel
