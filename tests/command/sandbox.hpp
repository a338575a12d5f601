// A directory of its own for each test, and a way to run programs and see all that they say.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace tendril::test {

inline constexpr unsigned kNobody = 65534;

// A fresh directory that every user may search, gone at the end.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  const std::string& root() const { return root_; }

  // Each makes the directories above, and returns the path.
  std::string write(const std::string& name, const std::string& content,
                    unsigned mode = 0755) const;
  std::string copy(const std::string& from, const std::string& name, unsigned mode = 0755) const;
  std::string directory(const std::string& name) const;

  // Whether set-ID bits count on the file system that it is on.
  bool honours_set_id() const;

 private:
  std::string root_;
};

struct Outcome {
  pid_t pid = 0;
  int status = -1;  // of exit; -1 if a signal ended it
  int signal = 0;
  std::string out;
  std::string err;
};

struct Start {
  std::vector<std::string> environment;    // the whole of it
  std::function<void()> in_child = [] {};  // between fork and exec: another user, a filter
};

// Runs `words[0]`, a path, to its end. Status 99: it could not be executed.
Outcome run(const std::vector<std::string>& words, const Start& start);

// Forks, becomes what `in_child` makes of the process, and returns the status that `question`
// gives.
int ask_in_child(const std::function<void()>& in_child, const std::function<int()>& question);

bool is_root();

// For in_child, as root: gives up root for good.
void become(unsigned user, unsigned group);

}  // namespace tendril::test
