// What the tests of I/O share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "tendril/offload.hpp"
#include "tests/api/clean.hpp"
#include "tests/api/error_of.hpp"

// Clean, for tests that may use the libuv loop: it stays once it is made, with its descriptors.
struct LoopMade {
  LoopMade() {
    tendril::offload([] {});
  }
};
class CleanIo : private LoopMade, Clean {
 public:
  // Green threads take a few turns more to be gone after their fibers have ended.
  ~CleanIo() {
    for (int i = 0; i < 1000 && tendril::rt::process().live_fibers() > before_; ++i) {
      tendril::sleep(std::chrono::milliseconds(1));
    }
  }

 private:
  const size_t before_ = tendril::rt::process().live_fibers();
};

// The errno that the call fails with; 0 if it does not.
// A directory that goes away with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tendril-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
