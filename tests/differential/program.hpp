// A program that follows from a seed, and its run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transcript.hpp"

namespace differential {

struct Options {
  int settle_us = 2000;
  std::vector<int> only;  // indices of steps; empty: all
  // For the tester's own test: results of this call are written down wrong.
  std::string lie_about;
};

// Runs the program of the seed in this process, which it leaves unusable: call it in a child.
void run_program(uint64_t seed, const Options& options, Transcript& transcript);

}  // namespace differential
