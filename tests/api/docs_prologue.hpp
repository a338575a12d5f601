// What the blocks of docs/api.md assume.
#pragma once

#include <unistd.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "clean.hpp"
#include "tendril/tendril.hpp"

using namespace tendril;
using namespace std::chrono_literals;

#undef assert
#define assert(...) REQUIRE((__VA_ARGS__))
