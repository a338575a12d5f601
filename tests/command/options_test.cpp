#include "interpose/command/options.hpp"

#include <doctest/doctest.h>

#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

using Words = std::vector<std::string>;

// The message of the usage error, or "accepted".
std::string misuse_of(const Words& arguments, const Environment& environment = {}) {
  try {
    parse_options(arguments, environment);
  } catch (const Refusal& refusal) {
    CHECK(refusal.status() == kUsageStatus);
    return refusal.what();
  }
  return "accepted";
}

TEST_CASE("options end at the program's name, so its own are never eaten") {
  Options options = parse_options({"--stats", "ls", "--help", "--workers", "-x", "--"}, {});
  CHECK(options.action == Action::kRun);
  CHECK(options.words == Words{"ls", "--help", "--workers", "-x", "--"});
  CHECK(options.settings.stats);
  CHECK(!options.settings.workers);
}

TEST_CASE("after -- everything is the program's, whatever it looks like") {
  CHECK(parse_options({"--", "--stats", "--"}, {}).words == Words{"--stats", "--"});
  CHECK(parse_options({"--", "--", "x"}, {}).words == Words{"--", "x"});
}

TEST_CASE("check is a word of ours unless -- or a path says otherwise") {
  Options options = parse_options({"--verbose", "check", "a", "--", "-b"}, {});
  CHECK(options.action == Action::kCheck);
  CHECK(options.words == Words{"a", "--", "-b"});
  CHECK(parse_options({"check"}, {}).words.empty());
  CHECK(parse_options({"check", "--", "-b"}, {}).words == Words{"-b"});
  CHECK(parse_options({"--", "check"}, {}).action == Action::kRun);
  CHECK(parse_options({"./check"}, {}).action == Action::kRun);
  CHECK(misuse_of({"check", "--fast"}).find("--fast") != std::string::npos);
}

TEST_CASE("sizes have units and are rounded up to pages") {
  auto bytes = [](const char* text) { return parse_stack_size(text, "--stack-size"); };
  CHECK(bytes("64K") == 65536);
  CHECK(bytes("1M") == 1048576);
  CHECK(bytes("1m") == 1048576);
  CHECK(bytes("1G") == 1073741824);
  CHECK(bytes("16384") == 16384);
  CHECK(bytes("16385") == 20480);
  for (const char* bad : {"", "K", "64 K", "64KK", "-64K", "64X", "0", "16383", "65G", "1e6",
                          "18446744073709551615", "18446744073709551616K"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(bytes(bad), Refusal);
  }
}

TEST_CASE("a bad value is named together with where it came from") {
  for (const char* bad : {"0", "-1", "two", "1.5", "99999999999", "1025"}) {
    CAPTURE(bad);
    CHECK(misuse_of({"--workers", bad, "ls"}).starts_with("--workers: '" + std::string(bad)));
    CHECK(misuse_of({"ls"}, {"TENDRIL_WORKERS=" + std::string(bad)})
              .starts_with("TENDRIL_WORKERS: '" + std::string(bad)));
  }
  CHECK(misuse_of({"ls"}, {"TENDRIL_STACK_SIZE=big"}).starts_with("TENDRIL_STACK_SIZE: 'big'"));
  CHECK(misuse_of({"ls"}, {"TENDRIL_STATS=yes"}).starts_with("TENDRIL_STATS: 'yes'"));
}

TEST_CASE("a seed takes one worker") {
  Settings settings = parse_options({"--seed", "18446744073709551615", "ls"}, {}).settings;
  CHECK(settings.seed == UINT64_MAX);
  CHECK(settings.workers == 1);
  CHECK(parse_options({"ls"}, {"TENDRIL_SEED=0"}).settings.seed == 0);
  CHECK(!parse_options({"ls"}, {"TENDRIL_SEED="}).settings.seed);
  CHECK(misuse_of({"--seed", "1", "--workers", "1", "ls"}) == "accepted");
  CHECK(misuse_of({"--seed", "1", "--workers", "2", "ls"}).find("one worker") != std::string::npos);
  CHECK(misuse_of({"--seed", "1", "ls"}, {"TENDRIL_WORKERS=2"}).find("one worker") !=
        std::string::npos);
  for (const char* bad : {"-1", "x", "1.5", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK(misuse_of({"--seed", bad, "ls"}).starts_with("--seed: '" + std::string(bad)));
  }
}

TEST_CASE("what to do on a deadlock is report or exit") {
  CHECK_FALSE(parse_options({"ls"}, {}).settings.exit_on_deadlock);
  CHECK(parse_options({"--on-deadlock=exit", "ls"}, {}).settings.exit_on_deadlock);
  CHECK(parse_options({"ls"}, {"TENDRIL_ON_DEADLOCK=exit"}).settings.exit_on_deadlock);
  CHECK_FALSE(parse_options({"--on-deadlock", "report", "ls"}, {"TENDRIL_ON_DEADLOCK=exit"})
                  .settings.exit_on_deadlock);
  CHECK(misuse_of({"--on-deadlock", "panic", "ls"}).starts_with("--on-deadlock: 'panic'"));
}

TEST_CASE("a missing value never takes the program's name for it") {
  for (const char* option : {"--workers", "--stack-size", "--seed", "--on-deadlock"}) {
    CHECK(misuse_of({option}).starts_with(std::string(option) + ": a value is missing"));
    CHECK(misuse_of({std::string(option) + "=", "ls"})
              .starts_with(std::string(option) + ": a value is missing"));
    CHECK(misuse_of({"--workers", "1", std::string(option) + "=", "ls"})
              .starts_with(std::string(option) + ": a value is missing"));
  }
}

TEST_CASE("options that do not exist and lines without a program are refused") {
  CHECK(misuse_of({"--bogus", "ls"}).starts_with("--bogus: unknown option"));
  CHECK(misuse_of({"-x", "ls"}).starts_with("-x: unknown option"));
  CHECK(misuse_of({"--stat", "ls"}).starts_with("--stat: unknown option"));
  CHECK(misuse_of({"--work=2", "ls"}).starts_with("--work=2: unknown option"));
  CHECK(misuse_of({"--s", "ls"}).starts_with("--s: unknown option"));
  CHECK(misuse_of({"-", "ls"}) == "accepted");  // a program's name, if there is one
  CHECK(misuse_of({"--stats=1", "ls"}).starts_with("--stats=1: --stats takes no value"));
  CHECK(misuse_of({"-xh", "ls"}).starts_with("-xh: unknown option"));
  CHECK(misuse_of({}).starts_with("no program given"));
  CHECK(misuse_of({"--stats"}).starts_with("no program given"));
  CHECK(misuse_of({"--"}).starts_with("no program given"));
}

TEST_CASE("variables are the defaults of the options") {
  Environment environment = {"TENDRIL_WORKERS=2", "TENDRIL_STACK_SIZE=64K", "TENDRIL_STATS=1",
                             "TENDRIL_VERBOSE=0"};
  Settings settings = parse_options({"ls"}, environment).settings;
  CHECK(settings.workers == 2);
  CHECK(settings.stack_bytes == 65536);
  CHECK(settings.stats);
  CHECK_FALSE(settings.verbose);

  settings = parse_options({"--workers=4", "--stack-size=1M", "ls"}, environment).settings;
  CHECK(settings.workers == 4);
  CHECK(settings.stack_bytes == 1048576);
  // An option outdoes a bad variable; an empty one is none.
  CHECK(misuse_of({"--workers", "4", "ls"}, {"TENDRIL_WORKERS=x"}) == "accepted");
  CHECK(parse_options({"ls"}, {"TENDRIL_STACK_SIZE="}).settings.stack_bytes == std::nullopt);
}

TEST_CASE("the value of an option may look like anything") {
  CHECK(misuse_of({"--workers", "--", "ls"}).starts_with("--workers: '--'"));
  CHECK(misuse_of({"--seed", "--stats", "ls"}).starts_with("--seed: '--stats'"));
  Options options = parse_options({"--workers", "2", "--", "--stats"}, {});
  CHECK(options.settings.workers == 2);
  CHECK(options.words == Words{"--stats"});
}

TEST_CASE("the last of several counts") {
  CHECK(parse_options({"--workers", "1", "--workers", "3", "ls"}, {}).settings.workers == 3);
}

TEST_CASE("help and version are texts to print") {
  Options help = parse_options({"--help"}, {});
  CHECK(help.action == Action::kPrint);
  for (const char* option : {"--workers", "--stack-size", "--seed", "--on-deadlock", "--stats",
                             "--verbose", "--version"})
    CHECK(help.text.find(option) != std::string::npos);
  CHECK(parse_options({"--version"}, {}).text == "tendril " TENDRIL_VERSION "\n");
}

}  // namespace
}  // namespace tendril::command
