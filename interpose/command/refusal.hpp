// What the command throws when it will not start the program: one line for the user and the exit
// status that a shell would give.
#pragma once

#include <stdexcept>
#include <string>

namespace tendril::command {

inline constexpr int kNotReadyStatus = 1;     // of check; and when stdout cannot be written
inline constexpr int kUsageStatus = 2;        // a bad option, no program
inline constexpr int kCannotRunStatus = 126;  // found, but cannot be run, or not green
inline constexpr int kNotFoundStatus =
    127;  // the program, its interpreter or its loader is missing

class Refusal : public std::runtime_error {
 public:
  // `text` names the thing and says what to do; it has no "tendril: " and no newline.
  Refusal(int status, const std::string& text) : std::runtime_error(text), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

}  // namespace tendril::command
