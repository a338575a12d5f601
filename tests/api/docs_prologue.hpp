// What the blocks of docs/api.md assume.
#pragma once

#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <cctype>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tendril/serve.hpp"
#include "tendril/tendril.hpp"
#include "tests/io/io_tests.hpp"

using namespace tendril;
using namespace std::chrono_literals;

#undef assert
#define assert(...) REQUIRE((__VA_ARGS__))
