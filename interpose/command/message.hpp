// What the command says: on stderr, and on stdout what was asked for.
#pragma once

#include <string>
#include <string_view>

namespace tendril::command {

// `text` with control characters (a newline in a file name) written as \xHH, so that it stays one
// line.
std::string one_line(std::string_view text);

// Writes "tendril: text" as one line to stderr, in one write; errors are ignored.
void say(std::string_view text);

// Writes `text` to stdout. Returns `status`, or kNotReadyStatus, said, if it cannot be written.
int print(const std::string& text, int status);

}  // namespace tendril::command
