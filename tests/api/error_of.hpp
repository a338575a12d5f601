// The errno that a call ends with, for tests.
#pragma once

#include <system_error>

// 0: it did not throw.
int error_of(auto&& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}
