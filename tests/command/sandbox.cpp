#include "tests/command/sandbox.hpp"

#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tendril::test {
namespace {

namespace fs = std::filesystem;

constexpr int kNotExecuted = 99;

std::string contents(int fd) {
  struct stat status;
  ::fstat(fd, &status);
  std::string text(static_cast<size_t>(status.st_size), '\0');
  if (::pread(fd, text.data(), text.size(), 0) < 0) text.clear();
  ::close(fd);
  return text;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

Sandbox::Sandbox() {
  std::string pattern = (fs::temp_directory_path() / "tendril-command-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  root_ = pattern;
  ::chmod(root_.c_str(), 0755);
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string Sandbox::write(const std::string& name, const std::string& content,
                           unsigned mode) const {
  std::string file = path(name);
  fs::create_directories(fs::path(file).parent_path());
  std::ofstream(file, std::ios::binary) << content;
  ::chmod(file.c_str(), mode);
  return file;
}

std::string Sandbox::copy(const std::string& from, const std::string& name, unsigned mode) const {
  std::string file = path(name);
  fs::create_directories(fs::path(file).parent_path());
  fs::copy_file(from, file, fs::copy_options::overwrite_existing);
  ::chmod(file.c_str(), mode);
  return file;
}

std::string Sandbox::directory(const std::string& name) const {
  fs::create_directories(path(name));
  return path(name);
}

bool Sandbox::honours_set_id() const {
  struct statvfs mount;
  return ::statvfs(root_.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) == 0;
}

Outcome run(const std::vector<std::string>& words, const Start& start) {
  std::vector<char*> arguments = pointers(words);
  std::vector<char*> environment = pointers(start.environment);
  int out = ::memfd_create("out", MFD_CLOEXEC);
  int err = ::memfd_create("err", MFD_CLOEXEC);
  Outcome outcome;
  outcome.pid = ::fork();
  if (outcome.pid == 0) {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    start.in_child();
    ::execve(arguments[0], arguments.data(), environment.data());
    ::_exit(kNotExecuted);
  }
  int status = 0;
  ::waitpid(outcome.pid, &status, 0);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = contents(out);
  outcome.err = contents(err);
  return outcome;
}

int ask_in_child(const std::function<void()>& in_child, const std::function<int()>& question) {
  pid_t child = ::fork();
  if (child == 0) {
    in_child();
    ::_exit(question());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool is_root() { return ::geteuid() == 0; }

void become(unsigned user, unsigned group) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(group, group, group) != 0 ||
      ::setresuid(user, user, user) != 0)
    ::_exit(kNotExecuted);
}

}  // namespace tendril::test
