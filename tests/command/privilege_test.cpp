// What the command foresees, against what this kernel does: the probe tells its AT_SECURE.
#include "interpose/command/privilege.hpp"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <linux/xattr.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/command/sandbox.hpp"

namespace tendril::command {
namespace {

using test::kNobody;
using test::Sandbox;

constexpr unsigned kOther = 12345;
constexpr unsigned kSomeCapability = 1U << CAP_NET_BIND_SERVICE;

struct FileCapabilities {
  const char* name;
  bool present;
  unsigned permitted, inheritable;
  bool effective;
};

struct Starter {
  const char* name;
  std::function<void()> in_child;
};

bool set_capabilities(const std::string& file, const FileCapabilities& capabilities) {
  if (!capabilities.present) return true;
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | (capabilities.effective ? VFS_CAP_FLAGS_EFFECTIVE : 0);
  data.data[0].permitted = capabilities.permitted;
  data.data[0].inheritable = capabilities.inheritable;
  return ::setxattr(file.c_str(), XATTR_NAME_CAPS, &data, sizeof data, 0) == 0;
}

// 0: normal, 1: secure, 99: it cannot be executed.
int kernel_says(const std::string& file, const Starter& starter) {
  return test::run({file, "secure"}, {.environment = {}, .in_child = starter.in_child}).status;
}

int we_say(const std::string& file, const Starter& starter) {
  return test::ask_in_child(starter.in_child, [&] { return secure_mode_reason(file) ? 1 : 0; });
}

TEST_CASE("secure mode is foreseen as the kernel decides it") {
  if (!test::is_root()) {
    MESSAGE("skipped: only root can make files of other users");
    return;
  }
  Sandbox box;
  auto no_new_privileges = [] { ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); };
  const Starter starters[] = {
      {"root", [] {}},
      {"nobody", [] { test::become(kNobody, kNobody); }},
      {"nobody, no new privileges",
       [&] {
         test::become(kNobody, kNobody);
         no_new_privileges();
       }},
      {"root, no new privileges", no_new_privileges},
      {"nobody with root's group", [] { test::become(kNobody, 0); }},
      {"root on behalf of nobody", [] { (void)!::setresuid(kNobody, 0, 0); }},
      {"nobody on behalf of root", [] { (void)!::setresuid(0, kNobody, 0); }},
  };
  const FileCapabilities capability_sets[] = {
      {"none", false, 0, 0, false},
      {"permitted", true, kSomeCapability, 0, false},
      {"permitted, effective", true, kSomeCapability, 0, true},
      {"inheritable", true, 0, kSomeCapability, false},
      {"empty", true, 0, 0, false},
  };
  int tried = 0;
  for (unsigned owner : {0U, kNobody, kOther}) {
    for (unsigned mode : {0755U, 04755U, 02755U, 02745U, 06755U}) {
      for (const FileCapabilities& capabilities : capability_sets) {
        std::string file = box.copy(PROBE, "probe");
        if (::chown(file.c_str(), owner, owner) != 0 || ::chmod(file.c_str(), mode) != 0 ||
            !set_capabilities(file, capabilities))
          continue;  // a container without the capability to do it
        for (const Starter& starter : starters) {
          int secure = kernel_says(file, starter);
          if (secure == 99) continue;
          CAPTURE(owner);
          CAPTURE(mode);
          CAPTURE(capabilities.name);
          CAPTURE(starter.name);
          CHECK(we_say(file, starter) == secure);
          ++tried;
        }
      }
    }
  }
  MESSAGE(tried << " combinations tried");
}

TEST_CASE("a set-ID file of the very user who runs it is an ordinary one") {
  Sandbox box;
  std::string file = box.copy(PROBE, "probe", 06755);
  Starter self{"self", [] {}};
  int secure = kernel_says(file, self);
  CHECK(secure == we_say(file, self));
  // The group of a new file may be the directory's and not ours.
  ::chmod(file.c_str(), 04755);
  CHECK(kernel_says(file, self) == 0);
  CHECK(we_say(file, self) == 0);
}

}  // namespace
}  // namespace tendril::command
