// What every test of the API asserts at its end: no fiber of its own lives on, no descriptor
// leaked.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/process.hpp"
#include "tendril/tendril.hpp"

class Clean {
 public:
  Clean() {
    tendril::yield();  // this thread is a worker from here on
    fibers_ = tendril::rt::process().live_fibers();
    descriptors_ = open_descriptors();
  }
  ~Clean() {
    // Those that have been joined may be on their way out still, on other workers and many at once:
    // who is woken runs before who wakes goes on.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      tendril::yield();
    } while (tendril::rt::process().live_fibers() != fibers_ &&
             std::chrono::steady_clock::now() < limit);
    CHECK(tendril::rt::process().live_fibers() == fibers_);
    CHECK(open_descriptors() == descriptors_);
  }
  Clean(const Clean&) = delete;
  Clean& operator=(const Clean&) = delete;

  // Without the runtime's own: the workers of threads that have ended are kept for later ones.
  static size_t open_descriptors() {
    size_t count = 0;
    DIR* directory = opendir("/proc/self/fd");
    while (const dirent* entry = readdir(directory)) {
      if (!tendril::rt::is_hidden_descriptor(std::atoi(entry->d_name))) ++count;
    }
    closedir(directory);
    return count;
  }

 private:
  size_t fibers_;
  size_t descriptors_;
};

// The order in which things happened.
class Log {
 public:
  void add(std::string what) { text_ += (text_.empty() ? "" : " ") + std::move(what); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};
