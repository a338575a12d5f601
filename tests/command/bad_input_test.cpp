// Bad input from outside: the shell's status, one line on stderr, nothing on stdout, and the
// program does not run (the probe would print).
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "tests/command/crafted_elf.hpp"
#include "tests/command/installed.hpp"

namespace tendril::test {
namespace {

// Makes prctl(PR_SET_SYSCALL_USER_DISPATCH) fail, as on a kernel that does not know it (EINVAL) or
// in a sandbox (EPERM).
void forbid_dispatch(unsigned error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SYSCALL_USER_DISPATCH, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof program / sizeof program[0], program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    ::_exit(99);
}

void check_refused(const Installed& box, const std::vector<std::string>& words, int status,
                   const std::string& part) {
  Outcome outcome = box.tendril(words);
  CAPTURE(outcome.err);
  CHECK(outcome.status == status);
  CHECK(outcome.out == "");
  CHECK(outcome.err.starts_with("tendril: "));
  CHECK(outcome.err.find(part) != std::string::npos);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.back() == '\n');
  // What to do about it follows the semicolon.
  CHECK(outcome.err.find("; ") != std::string::npos);
}

TEST_CASE("bad usage is refused with 2") {
  Installed box;
  check_refused(box, {}, 2, "no program given");
  check_refused(box, {"--"}, 2, "no program given");
  check_refused(box, {"--bogus", "probe"}, 2, "--bogus: unknown option");
  check_refused(box, {"--workers", "many", "probe"}, 2, "--workers: 'many'");
  check_refused(box, {"--workers=", "probe"}, 2, "--workers: a value is missing");
  check_refused(box, {"--stack-size", "12", "probe"}, 2, "--stack-size: '12' is too small");
  check_refused(box, {"--stats=loud", "probe"}, 2, "--stats");
  check_refused(box, {"check", "--fast"}, 2, "--fast");
  box.start().environment.push_back("TENDRIL_VERBOSE=loud");
  check_refused(box, {"probe"}, 2, "TENDRIL_VERBOSE: 'loud'");
}

TEST_CASE("a program that is not there is refused with 127") {
  Installed box;
  check_refused(box, {"missing"}, 127, "missing: not found in PATH");
  check_refused(box, {"./missing"}, 127, "./missing: no such file");
  check_refused(box, {""}, 127, "name is empty");
  check_refused(box, {"two\nlines"}, 127, "two\\x0alines");
  box.write("programs/script", "#!/missing/interpreter\n");
  check_refused(box, {"script"}, 127, "script: its interpreter /missing/interpreter");
  box.write("programs/by_env", "#!/usr/bin/env missing\n");
  check_refused(box, {"by_env"}, 127, "by_env: its interpreter missing: not found");
}

TEST_CASE("a file that is no program is refused with 126") {
  Installed box;
  check_refused(box, {box.root()}, 126, "is a directory");
  check_refused(box, {box.write("text", "x", 0644)}, 126, "not executable");
  check_refused(box, {box.write("junk", std::string("\1\2\0\3", 4))}, 126, "exec format error");
  check_refused(box, {box.write("text", "x") + "/prog"}, 126, "Not a directory");
  std::string fifo = box.path("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0755) == 0);
  check_refused(box, {fifo}, 126, "not a regular file");
}

TEST_CASE("a program that the shim cannot be loaded into is refused with 126") {
  Installed box;
  box.write("programs/i386", crafted_elf({.elf_class = ELFCLASS32, .machine = EM_386}));
  check_refused(box, {"i386"}, 126, "i386: is a 32-bit program");
  box.write("programs/arm", crafted_elf({.machine = EM_AARCH64, .loader = kGlibcLoader}));
  check_refused(box, {"arm"}, 126, "arm: is built for another machine");
  box.write("programs/bare", crafted_elf({}));
  check_refused(box, {"bare"}, 126, "bare: is statically linked");
  box.write("programs/by_env", "#!/usr/bin/env bare\n");
  check_refused(box, {"by_env"}, 126, "by_env: its interpreter bare: is statically linked");
#ifdef PROBE_STATIC
  check_refused(box, {box.copy(PROBE_STATIC, "static")}, 126, "static: is statically linked");
  box.write("programs/script", "#!" + box.path("static") + "\n");
  check_refused(box, {"script"}, 126, box.path("static") + ": is statically linked");
#endif
#ifdef PROBE_STATIC_PIE
  check_refused(box, {box.copy(PROBE_STATIC_PIE, "static-pie")}, 126, "is statically linked");
#endif
}

TEST_CASE("a file that may be run but not read is refused with 126") {
  Installed box;
  std::string secret = box.copy(PROBE, "secret", 0711);
  if (is_root()) box.start().in_child = [] { become(kNobody, kNobody); };
  // Its owner cannot read it either.
  if (!is_root()) ::chmod(secret.c_str(), 0111);
  check_refused(box, {secret}, 126, "cannot be read");
}

TEST_CASE("a privileged program is refused with 126, one that would gain nothing runs") {
  Installed box;
  if (!box.honours_set_id()) {
    MESSAGE("skipped: the temporary directory is on a nosuid file system");
    return;
  }
  std::string own = box.copy(PROBE, "own", 04755);
  CHECK(box.tendril({own}).out == "green\n");
  if (!is_root()) {
    MESSAGE("the rest is skipped: only root can make files of other users");
    return;
  }
  std::string group = box.copy(PROBE, "group");
  REQUIRE(::chown(group.c_str(), 0, kNobody) == 0);
  REQUIRE(::chmod(group.c_str(), 02755) == 0);
  check_refused(box, {group}, 126, "is set-group-ID (group 65534)");

  box.start().in_child = [] { become(kNobody, kNobody); };
  check_refused(box, {own}, 126, "is set-user-ID (user 0)");
  std::string hidden = box.copy(PROBE, "hidden", 04711);
  check_refused(box, {hidden}, 126, "is set-user-ID (user 0)");
  std::string script = box.write("script", "#!" + own + "\n", 06755);
  check_refused(box, {script}, 126, "its interpreter " + own + ": is set-user-ID");
  // The bits of a script itself mean nothing.
  CHECK(box.tendril({box.write("script", "#!" + box.probe() + "\n", 06755)}).out ==
        "green\n" + script + "\n");
}

TEST_CASE("a kernel without Syscall User Dispatch is refused with 126, and check says so") {
  Installed box;
  box.start().in_child = [] { forbid_dispatch(EINVAL); };
  check_refused(box, {"probe"}, 126, "has no Syscall User Dispatch");
  Outcome outcome = box.tendril({"check", "probe"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "");
  CHECK(outcome.out.find("has no Syscall User Dispatch") != std::string::npos);
  CHECK(outcome.out.find("ok   probe") != std::string::npos);

  box.start().in_child = [] { forbid_dispatch(EPERM); };
  check_refused(box, {"probe"}, 126, "Syscall User Dispatch is refused");
}

TEST_CASE("a shim that the loader would pass over is refused with 126") {
  Installed box;
  ::unlink(box.shim().c_str());
  check_refused(box, {"probe"}, 126, "libtendril-interpose.so: not found in");

  auto with_shim = [&](const std::string& path, const std::string& part) {
    box.start().environment.resize(1);
    box.start().environment.push_back("TENDRIL_LIBRARY=" + path);
    check_refused(box, {"probe"}, 126, part);
  };
  with_shim(box.path("missing.so"), "missing.so cannot be opened (No such file");
  with_shim(box.write("text.so", "text"), "text.so is not a shared library");
  with_shim(box.write("arm.so", crafted_elf({.machine = EM_AARCH64})), "another machine");
  with_shim(box.copy(DUMMY_SHIM, "a b.so"), "cannot carry a path with a space");
  with_shim(box.copy(DUMMY_SHIM, "a:b.so"), "cannot carry a path with a space");
}

}  // namespace
}  // namespace tendril::test
