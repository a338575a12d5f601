#include "transcript.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace differential {

void Transcript::add(const char* format, ...) {
  char line[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length <= 0) return;
  if (static_cast<size_t>(length) >= sizeof line) {
    length = sizeof line - 1;
    line[length - 1] = '\n';
  }
  const size_t at = used_.fetch_add(static_cast<size_t>(length));
  if (at + static_cast<size_t>(length) <= kSize)
    memcpy(text_ + at, line, static_cast<size_t>(length));
}

}  // namespace differential
