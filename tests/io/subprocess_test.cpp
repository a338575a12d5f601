#include "tendril/subprocess.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>

#include "io_tests.hpp"

using tendril::ExitStatus;
using tendril::Redirect;
using tendril::Subprocess;
using namespace std::chrono_literals;

namespace {

bool no_children() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

}  // namespace

TEST_CASE("run returns what the program wrote and how it ended") {
  CleanIo clean;
  const auto done = tendril::run({"sh", "-c", "echo out; echo err >&2; exit 3"});
  CHECK(done.output == "out\n");
  CHECK(done.error == "err\n");
  CHECK(done.status == ExitStatus{3, 0});
  CHECK(tendril::run({"sh", "-c", "kill -9 $$"}).status == ExitStatus{0, SIGKILL});
  CHECK(no_children());
}

TEST_CASE("megabytes go in and out at once") {
  CleanIo clean;
  const std::string text(3 << 20, 'x');
  CHECK(tendril::run({"cat"}, {.input = text}).output == text);
  CHECK(tendril::run({"true"}, {.input = text}).status.success());  // does not read: no error
}

TEST_CASE("a program that is not there is ENOENT; check throws what happened") {
  CleanIo clean;
  CHECK(error_of([] { Subprocess({"/nonexistent/program"}); }) == ENOENT);
  try {
    tendril::run({"sh", "-c", "echo why; exit 2"}, {.check = true});
    FAIL("it was a success");
  } catch (const tendril::SubprocessError& error) {
    CHECK(error.process().output == "why\n");
    CHECK(std::string(error.what()).find("exited with 2") != std::string::npos);
  }
  CHECK(no_children());
}

TEST_CASE("a timeout kills what run has started") {
  CleanIo clean;
  CHECK_THROWS_AS(tendril::run({"sleep", "100"}, {.timeout = 20ms}), tendril::TimeoutError);
  CHECK(no_children());
}

TEST_CASE("the end of the scope kills and reaps") {
  CleanIo clean;
  pid_t pid = 0;
  {
    Subprocess child({"sleep", "100"});
    pid = child.pid();
    CHECK(!child.poll());
  }
  CHECK(kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
  auto victim = tendril::spawn([] {
    Subprocess child({"sleep", "100"});
    child.wait();
  });
  tendril::yield();
  CHECK(victim.kill(nullptr, 10s));
  CHECK(no_children());
}

TEST_CASE("wait times out and may be asked again; signals reach the child") {
  CleanIo clean;
  Subprocess child({"sleep", "100"});
  CHECK_THROWS_AS(child.wait(1ms), tendril::TimeoutError);
  child.terminate();
  CHECK(child.wait() == ExitStatus{0, SIGTERM});
  CHECK(child.wait() == ExitStatus{0, SIGTERM});
  child.kill();  // it is over: nothing happens
}

TEST_CASE("communicate may be repeated after a timeout: nothing is lost") {
  CleanIo clean;
  Subprocess child({"sh", "-c", "read a; echo got $a; read b; echo and $b"},
                   {.input = Redirect::kPipe, .output = Redirect::kPipe});
  child.input().write("one\n");
  CHECK_THROWS_AS(
      [&] {
        // Keep its input open: only the output is waited for.
        tendril::FdStream in(std::move(child.input()));
        try {
          child.communicate({}, 50ms);
        } catch (...) {
          child.input() = std::move(in);
          throw;
        }
      }(),
      tendril::TimeoutError);
  CHECK(child.communicate("two\n").output == "got one\nand two\n");
  CHECK(child.wait().success());
}

TEST_CASE("a conversation over pipes") {
  CleanIo clean;
  Subprocess child({"cat"}, {.input = Redirect::kPipe, .output = Redirect::kPipe});
  tendril::StreamReader lines(child.output());
  std::string line;
  for (const std::string text : {"one\n", "two\n"}) {
    child.input().write(text);
    REQUIRE(lines.read_line(line));
    CHECK(line + '\n' == text);
  }
  child.input().close();
  CHECK(child.wait().success());
}

TEST_CASE("environment, directory, redirections") {
  CleanIo clean;
  tendril::SubprocessOptions options;
  options.environment.emplace(1, std::string("NAME=value"));
  options.directory = std::string("/");
  options.error = Redirect::kToStdout;
  const auto done =
      tendril::run({"/bin/sh", "-c", "echo $NAME; pwd; echo err >&2"}, {.process = options});
  CHECK(done.output == "value\n/\nerr\n");
}

TEST_CASE("a hundred children at once") {
  CleanIo clean;
  std::vector<tendril::Fiber<std::string>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(tendril::spawn([i] { return tendril::run({"echo", std::to_string(i)}).output; }));
  }
  for (int i = 0; i < 100; ++i) CHECK(all[i].get() == std::to_string(i) + '\n');
  CHECK(no_children());
}
