// The command from outside: what a program sees that it runs, and what check says.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include "tests/command/crafted_elf.hpp"
#include "tests/command/installed.hpp"

namespace tendril::test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("the program runs with the shim and its own words, and nothing else is said") {
  Installed box;
  Outcome outcome = box.tendril({"probe", "--help", "-x", "--", "a b"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "green\n--help\n-x\n--\na b\n");
  CHECK(outcome.err == "");
}

TEST_CASE("status, signal and process are the program's own") {
  Installed box;
  CHECK(box.tendril({"probe", "exit", "0"}).status == 0);
  CHECK(box.tendril({"probe", "exit", "42"}).status == 42);
  CHECK(box.tendril({"probe", "die", std::to_string(SIGTERM)}).signal == SIGTERM);
  CHECK(box.tendril({"probe", "die", std::to_string(SIGSEGV)}).signal == SIGSEGV);
  Outcome outcome = box.tendril({"probe", "pid"});
  CHECK(outcome.out == std::to_string(outcome.pid) + "\n");
}

TEST_CASE("the environment says what the options said") {
  Installed box;
  auto variable = [&](std::vector<std::string> options, const char* name) {
    options.insert(options.end(), {"--", "probe", "print", name});
    std::string out = box.tendril(options).out;
    return out.substr(0, out.find('\n'));
  };
  CHECK(variable({}, "LD_PRELOAD") == box.shim());
  CHECK(variable({}, "GLIBC_TUNABLES") == "glibc.pthread.rseq=0");
  CHECK(variable({}, "TENDRIL_WORKERS") == "(unset)");
  CHECK(variable({}, "TENDRIL_STACK_SIZE") == "(unset)");
  CHECK(variable({"--stack-size", "64K"}, "TENDRIL_STACK_SIZE") == "65536");
  CHECK(variable({"--workers=2"}, "TENDRIL_WORKERS") == "2");
  CHECK(variable({"--stats"}, "TENDRIL_STATS") == "1");
  CHECK(variable({"--verbose"}, "TENDRIL_VERBOSE") == "1");

  std::string other = box.copy(DUMMY_SHIM, "other.so", 0644);
  box.start().environment.push_back("LD_PRELOAD=" + other);
  box.start().environment.push_back("TENDRIL_STATS=0");
  CHECK(variable({}, "LD_PRELOAD") == box.shim() + ":" + other);
  CHECK(variable({}, "TENDRIL_STATS") == "(unset)");
}

TEST_CASE("tendril of tendril is tendril") {
  Installed box;
  Outcome outcome = box.tendril({box.path("bin/tendril"), "probe", "print", "LD_PRELOAD"});
  CHECK(outcome.out == box.shim() + "\n");
  CHECK(outcome.err == "");
}

TEST_CASE("verbose says in one line what runs, and how") {
  Installed box;
  Outcome outcome = box.tendril({"--verbose", "--stack-size", "64K", "probe"});
  CHECK(outcome.out == "green\n");
  CHECK(outcome.err == "tendril: running " + box.probe() +
                           " green: workers one a usable core, stack size 65536, shim " +
                           box.shim() + "\n");
}

TEST_CASE("scripts run, by their interpreter, by env and by the shell") {
  Installed box;
  std::string direct = box.write("programs/direct", "#!" + box.probe() + " one two\n");
  CHECK(box.tendril({"direct", "x"}).out == "green\none two\n" + direct + "\nx\n");
  std::string by_env = box.write("programs/by_env", "#!/usr/bin/env probe\n");
  CHECK(box.tendril({"by_env", "x"}).out == "green\n" + by_env + "\nx\n");
  std::string split = box.write("programs/split", "#!/usr/bin/env -S probe one two\n");
  CHECK(box.tendril({"split", "x"}).out == "green\none\ntwo\n" + split + "\nx\n");
  box.write("programs/text", "echo \"hello $1\"\nexit 7\n");
  Outcome text = box.tendril({"text", "x"});
  CHECK(text.out == "hello x\n");
  CHECK(text.status == 7);
}

TEST_CASE(
    "the shim is found beside the command, under both names of its folder, or where it is "
    "said to be") {
  Installed box;
  std::string moved = box.copy(DUMMY_SHIM, "lib/x86_64-linux-gnu/libtendril-interpose.so", 0644);
  ::unlink(box.shim().c_str());
  CHECK(box.tendril({"probe", "print", "LD_PRELOAD"}).out == moved + "\n");
  std::string other = box.copy(DUMMY_SHIM, "other.so", 0644);
  box.start().environment.push_back("TENDRIL_LIBRARY=other.so");
  box.start().in_child = [&] { (void)!::chdir(box.root().c_str()); };
  CHECK(box.tendril({"probe", "print", "LD_PRELOAD"}).out == other + "\n");
}

TEST_CASE("help and version go to stdout, errors in writing them do not go unnoticed") {
  Installed box;
  Outcome help = box.tendril({"--help"});
  CHECK(help.status == 0);
  CHECK(contains(help.out, "Usage: tendril"));
  CHECK(help.err == "");
  Outcome version = box.tendril({"--version"});
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("tendril "));
  CHECK(box.tendril({"ls", "--version"}).out.starts_with("ls"));

  box.start().in_child = [] { ::close(STDOUT_FILENO); };
  CHECK(box.tendril({"--version"}).status == 1);
}

TEST_CASE("check reports on the machine and on each program") {
  Installed box;
  Outcome ready = box.tendril({"check", "probe"});
  CAPTURE(ready.out);
  CHECK(ready.status == 0);
  CHECK(ready.err == "");
  CHECK(contains(ready.out, "Syscall User Dispatch works"));
  CHECK(contains(ready.out, "FSGSBASE"));
  CHECK(contains(ready.out, "MADV_GUARD_INSTALL"));
  CHECK(contains(ready.out, "ok   glibc "));
  CHECK(contains(ready.out, "ok   shim: " + box.shim() + "\n"));
  CHECK(contains(ready.out, "ok   probe: " + box.probe() + "\n"));

  box.write("programs/static", crafted_elf({}));
  Outcome unready = box.tendril({"check", "--", "probe", "static", "missing"});
  CHECK(unready.status == 1);
  CHECK(unready.err == "");
  CHECK(contains(unready.out, "ok   probe: "));
  CHECK(contains(unready.out, "no   static: is statically linked"));
  CHECK(contains(unready.out, "no   missing: not found in PATH"));
}

TEST_CASE("check tries the shim out, so that a missing library of its own is noticed") {
  Installed box;
  box.start().environment.push_back("TENDRIL_LIBRARY=" BROKEN_SHIM);
  Outcome outcome = box.tendril({"check"});
  CAPTURE(outcome.out);
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "");
  CHECK(contains(outcome.out, "no   shim: " BROKEN_SHIM));
  CHECK(contains(outcome.out, "tendril_symbol_that_nobody_defines"));
}

TEST_CASE("a program that is called check can be run") {
  Installed box;
  std::string file = box.copy(PROBE, "programs/check");
  CHECK(box.tendril({"--", "check", "x"}).out == "green\nx\n");
  CHECK(box.tendril({file, "x"}).out == "green\nx\n");
}

}  // namespace
}  // namespace tendril::test
