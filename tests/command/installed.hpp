// The built command in a sandbox, laid out as an installation with a dummy shim.
#pragma once

#include <string>
#include <vector>

#include "tests/command/sandbox.hpp"

namespace tendril::test {

class Installed : public Sandbox {
 public:
  Installed() {
    command_ = copy(TENDRIL_COMMAND, "bin/tendril");
    copy(TENDRIL_CHECK, "lib/tendril-check");
    shim_ = copy(DUMMY_SHIM, "lib/libtendril-interpose.so", 0644);
    probe_ = copy(PROBE, "programs/probe");
    start_.environment = {"PATH=" + path("programs") + ":/usr/bin:/bin"};
  }

  const std::string& shim() const { return shim_; }
  const std::string& probe() const { return probe_; }

  // What tendril is started with from here on.
  Start& start() { return start_; }

  Outcome tendril(std::vector<std::string> words) const {
    words.insert(words.begin(), command_);
    return run(words, start_);
  }

 private:
  std::string command_, shim_, probe_;
  Start start_;
};

}  // namespace tendril::test
