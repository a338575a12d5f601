#include "interpose/command/script.hpp"

#include <doctest/doctest.h>

namespace tendril::command {
namespace {

std::string shown(const std::optional<Shebang>& shebang) {
  if (!shebang) return "none";
  return shebang->interpreter + "|" + shebang->argument.value_or("-");
}

std::string shown(const std::optional<EnvCommand>& command) {
  if (!command) return "none";
  return command->program + "|" + command->path.value_or("-");
}

TEST_CASE("a #! line is split as the kernel splits it") {
  CHECK(shown(parse_shebang("#!/bin/sh\necho")) == "/bin/sh|-");
  CHECK(shown(parse_shebang("#!/bin/sh")) == "/bin/sh|-");
  CHECK(shown(parse_shebang("#! \t/bin/sh -e -u \t\n")) == "/bin/sh|-e -u");
  CHECK(shown(parse_shebang("#!sh\n")) == "sh|-");
  CHECK(shown(parse_shebang("#!/bin/sh\r\n")) == "/bin/sh\r|-");
  CHECK(shown(parse_shebang(std::string_view("#!/bin/sh\0-x\n", 14))) == "/bin/sh|-");
}

TEST_CASE("what the kernel does not take for a script is none") {
  for (const char* text : {"", "#", "echo", " #!/bin/sh\n", "#!\n", "#!  \t\n"}) {
    CAPTURE(text);
    CHECK(shown(parse_shebang(text)) == "none");
  }
}

TEST_CASE("a line longer than the kernel reads may lose its argument's end, not its name's") {
  std::string filler(2 * kHeadBytes, 'x');
  CHECK(shown(parse_shebang("#!/" + filler + "\n")) == "none");
  CHECK(shown(parse_shebang("#!" + std::string(kHeadBytes, ' '))) == "none");
  std::optional<Shebang> cut = parse_shebang("#!/bin/sh " + filler + "\n");
  REQUIRE(cut);
  CHECK(cut->interpreter == "/bin/sh");
}

TEST_CASE("text is told from binary by its first line") {
  CHECK(looks_like_text(""));
  CHECK(looks_like_text("echo hello\n"));
  CHECK(looks_like_text(std::string("echo\n\0\0", 7)));
  CHECK_FALSE(looks_like_text(std::string("MZ\0\n", 4)));
}

TEST_CASE("the program that env runs is found in its argument") {
  Environment environment = {"NAME=perl"};
  auto program = [&](const char* text) { return shown(parse_env_argument(text, environment)); };
  CHECK(program("python3") == "python3|-");
  CHECK(program("python3 -u") == "python3 -u|-");  // one word, as env sees it
  CHECK(program("-S python3 -u") == "python3|-");
  CHECK(program("-Spython3") == "python3|-");
  CHECK(program("-iS python3") == "python3|-");
  CHECK(program("--split-string=python3 x") == "python3|-");
  CHECK(program("-S A=1 PATH=/x:/y -- python3") == "--|/x:/y");  // options are over
  CHECK(program("-S -i -u HOME --chdir /tmp A=1 python3") == "python3|-");
  CHECK(program("-S -u HOME -- A=1 'my prog' x") == "my prog|-");
  CHECK(program("-S \"a b\"c\\_d") == "a bc|-");
  CHECK(program("-S ${NAME} -w") == "perl|-");
  CHECK(program("-S python3 # comment") == "python3|-");
}

TEST_CASE("an env line that names no program is told apart") {
  for (const char* text : {"-i", "A=1", "-S", "-S A=1", "-S # python3", "-S -u python3"}) {
    CAPTURE(text);
    CHECK(shown(parse_env_argument(text, {})) == "none");
  }
}

}  // namespace
}  // namespace tendril::command
