#include "interpose/command/executable.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "interpose/command/refusal.hpp"
#include "interpose/command/script.hpp"
#include "tests/command/crafted_elf.hpp"
#include "tests/command/sandbox.hpp"

namespace tendril::command {
namespace {

using test::crafted_elf;
using test::ElfShape;
using test::kGlibcLoader;
using test::Sandbox;
using Words = std::vector<std::string>;

struct Verdict {
  int status;  // 0: it can run green
  std::string text;
};

Verdict verdict(const std::string& name, const std::string& path = "/usr/bin:/bin") {
  try {
    return {0, find_executable({name}, {"PATH=" + path}).runs};
  } catch (const Refusal& refusal) {
    return {refusal.status(), refusal.what()};
  }
}

void check_refused(const std::string& name, int status, const std::string& words,
                   const std::string& path = "/usr/bin:/bin") {
  Verdict result = verdict(name, path);
  CAPTURE(result.text);
  CHECK(result.status == status);
  CHECK(result.text.starts_with(name + ": "));
  CHECK(result.text.find(words) != std::string::npos);
}

TEST_CASE("PATH is searched as execvp does") {
  Sandbox box;
  std::string good = box.copy(PROBE, "good/prog");
  box.write("text/prog", "x", 0644);
  box.directory("folder/prog");
  std::string both = box.path("text") + ":" + box.path("folder") + "::" + box.path("missing");

  CHECK(verdict("prog", both + ":" + box.path("good")).text == good);
  check_refused("prog", 126, "not executable", box.path("missing") + ":" + box.path("text"));
  check_refused("prog", 126, "is a directory", box.path("folder"));
  check_refused("prog", 127, "not found in PATH", box.path("missing"));
  check_refused("prog", 127, "not found in PATH", good);  // a file, no directory
  check_refused(std::string(300, 'n'), 126, "too long", both);
}

TEST_CASE("the name that was given stays argv[0]") {
  Sandbox box;
  box.copy(PROBE, "prog");
  Executable executable = find_executable({"prog", "-x"}, {"PATH=" + box.root()});
  CHECK(executable.path == box.path("prog"));
  CHECK(executable.arguments == Words{"prog", "-x"});
}

TEST_CASE("without PATH the system's default serves") {
  CHECK(find_executable({"true"}, {}).path == "/bin/true");
}

TEST_CASE("an empty entry of PATH is the current directory") {
  Sandbox box;
  box.copy(PROBE, "prog");
  int status =
      test::ask_in_child([&] { (void)!::chdir(box.root().c_str()); },
                         [] { return verdict("prog", "/missing::").text == "./prog" ? 0 : 1; });
  CHECK(status == 0);
}

TEST_CASE("ELF files that cannot be green are told apart") {
  Sandbox box;
  auto refused = [&](const ElfShape& shape, int status, const char* words) {
    check_refused(box.write("elf", crafted_elf(shape)), status, words);
  };
  refused({}, 126, "statically linked");
  refused({.type = ET_EXEC}, 126, "statically linked");
  refused({.elf_class = ELFCLASS32, .machine = EM_386}, 126, "32-bit program (i386)");
  refused({.elf_class = ELFCLASS32}, 126, "32-bit program (x32)");
  refused({.elf_class = ELFCLASS32, .machine = EM_ARM}, 126, "32-bit program (ARM)");
  refused({.machine = EM_AARCH64, .loader = kGlibcLoader}, 126, "another machine (AArch64)");
  refused({.data = ELFDATA2MSB, .machine = 0x1600}, 126, "big-endian");
  refused({.elf_class = ELFCLASSNONE}, 126, "damaged");
  refused({.type = ET_REL}, 126, "not a program");
  refused({.type = ET_CORE}, 126, "not a program");
  refused({.loader = "/lib/ld-musl-x86_64.so.1"}, 126, "not glibc's");
  refused({.loader = "/missing/ld-linux-x86-64.so.2"}, 127, "needs the loader /missing/");
  refused({.loader = kGlibcLoader, .section = ".go.buildinfo"}, 126, "is a Go program");
  CHECK(verdict(box.write("elf", crafted_elf({.loader = kGlibcLoader}))).status == 0);
  CHECK(verdict(box.write("elf", crafted_elf({.loader = kGlibcLoader, .section = ".go.build"})))
            .status == 0);
  check_refused(kGlibcLoader, 126, "is the dynamic loader");
}

TEST_CASE("no truncation of an ELF file passes for a program") {
  Sandbox box;
  std::string whole = crafted_elf({.loader = kGlibcLoader});
  for (size_t size = SELFMAG; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(verdict(box.write("cut", whole.substr(0, size))).status == 126);
  }
}

TEST_CASE("a script is as green as what its #! line names") {
  Sandbox box;
  std::string probe = box.copy(PROBE, "probe");
  std::string fixed = box.write("static", crafted_elf({}));
  std::string plain = box.write("plain", "echo hello\n");
  std::string script = box.path("script");
  auto with_line = [&](const std::string& line) { return box.write("script", "#!" + line + "\n"); };

  CHECK(verdict(with_line(probe)).text == script + " (by " + probe + ")");
  check_refused(with_line(fixed), 126, "its interpreter " + fixed + ": is statically linked");
  check_refused(with_line("/missing"), 127, "its interpreter /missing: no such file");
  check_refused(with_line(box.root()), 126, "its interpreter " + box.root() + ": is a directory");
  check_refused(with_line(plain), 126, "exec format error");
  std::string dull = box.write("dull", "x", 0644);
  check_refused(with_line(dull), 126, dull + ": is not executable");
  CHECK(find_executable({with_line(probe), "a"}, {}).arguments == Words{script, "a"});
}

TEST_CASE("what env looks for is looked at, too") {
  Sandbox box;
  std::string probe = box.copy(PROBE, "probe");
  box.write("static", crafted_elf({}));
  box.write("inner", "#!/usr/bin/env static\n");
  box.write("plain", "echo hello\n");
  auto with_line = [&](const std::string& line) {
    return box.write("script", "#!/usr/bin/env " + line + "\n");
  };

  CHECK(verdict(with_line("probe"), box.root()).text == box.path("script") + " (by " + probe + ")");
  CHECK(verdict(with_line("-S probe -u"), box.root()).status == 0);
  CHECK(verdict(with_line("-S PATH=" + box.root() + " probe")).status == 0);
  CHECK(verdict(with_line("plain"), box.root()).status == 0);  // by /bin/sh
  check_refused(with_line("static"), 126, "static: is statically linked", box.root());
  check_refused(with_line("inner"), 126, "static: is statically linked", box.root());
  check_refused(with_line("probe"), 127, "its interpreter probe: not found in PATH");
  check_refused(with_line("probe -u"), 127, "not found in PATH", box.root());
  check_refused(with_line("script"), 126, "in a circle", box.root());
  check_refused(with_line("-i"), 126, "without a program");
}

TEST_CASE("interpreters of interpreters are followed exactly as far as the kernel does") {
  Sandbox box;
  std::string interpreter = box.copy(PROBE, "probe");
  for (int scripts = 1; scripts <= kMaxInterpreters + 2; ++scripts) {
    CAPTURE(scripts);
    interpreter = box.write("script" + std::to_string(scripts), "#!" + interpreter + "\n");
    bool kernel_runs_it = test::run({interpreter}, {}).status == 0;
    CHECK(kernel_runs_it == (scripts <= kMaxInterpreters));
    CHECK((verdict(interpreter).status == 0) == kernel_runs_it);
  }
}

TEST_CASE("text without #! is run by the shell, other files are not") {
  Sandbox box;
  std::string text = box.write("text", "echo hello\n");
  Executable executable = find_executable({text, "a"}, {});
  CHECK(executable.path == "/bin/sh");
  CHECK(executable.arguments == Words{"/bin/sh", text, "a"});
  CHECK(verdict(box.write("empty", "")).status == 0);
  CHECK(verdict(box.write("bare", "#!\n")).status == 0);
  check_refused(box.write("binary", std::string("MZ\0\1\n", 5)), 126, "exec format error");
}

}  // namespace
}  // namespace tendril::command
