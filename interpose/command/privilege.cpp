#include "interpose/command/privilege.hpp"

#include <endian.h>
#include <linux/capability.h>
#include <linux/xattr.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace tendril::command {
namespace {

struct CapabilitySets {
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
};

CapabilitySets own_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> words{};
  if (::syscall(SYS_capget, &header, words.data()) != 0) return {};
  return {words[0].permitted | uint64_t{words[1].permitted} << 32,
          words[0].inheritable | uint64_t{words[1].inheritable} << 32};
}

uint64_t bounding_set() {
  uint64_t set = 0;
  for (int capability = 0; capability < 64; ++capability)
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) set |= uint64_t{1} << capability;
  return set;
}

// Whether the capabilities that the file carries make it a privileged one for a user who is not
// root: cap_bprm_creds_from_file in the kernel's security/commoncap.c.
bool file_capabilities_matter(const std::string& path, bool no_new_privileges) {
  vfs_ns_cap_data data{};
  ssize_t size = ::getxattr(path.c_str(), XATTR_NAME_CAPS, &data, sizeof data);
  if (size <= 0) return false;
  uint32_t flags = le32toh(data.magic_etc);
  if (flags & VFS_CAP_FLAGS_EFFECTIVE) return true;
  uint64_t permitted = le32toh(data.data[0].permitted);
  uint64_t inheritable = le32toh(data.data[0].inheritable);
  if ((flags & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_1) {
    permitted |= uint64_t{le32toh(data.data[1].permitted)} << 32;
    inheritable |= uint64_t{le32toh(data.data[1].inheritable)} << 32;
  }
  CapabilitySets own = own_capabilities();
  uint64_t gained = (permitted & bounding_set()) | (inheritable & own.inheritable);
  if (no_new_privileges) gained &= own.permitted;
  return gained != 0;
}

}  // namespace

std::optional<std::string> secure_mode_reason(const std::string& path) {
  uid_t real_user, user, saved_user;
  gid_t real_group, group, saved_group;
  ::getresuid(&real_user, &user, &saved_user);
  ::getresgid(&real_group, &group, &saved_group);
  if (real_user != user || real_group != group)
    return "would start with the privileges of a set-ID process, as tendril runs with other "
           "effective than real ids";

  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;  // execve will say so
  struct statvfs mount;
  if (::statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID)) return std::nullopt;

  bool no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
  if (!no_new_privileges) {
    if ((status.st_mode & S_ISUID) && status.st_uid != user)
      return "is set-user-ID (user " + std::to_string(status.st_uid) + ")";
    // Without the group's x bit, S_ISGID once meant mandatory locking and changes no ids.
    if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != group)
      return "is set-group-ID (group " + std::to_string(status.st_gid) + ")";
  }
  if (real_user != 0 && file_capabilities_matter(path, no_new_privileges))
    return "carries file capabilities";
  return std::nullopt;
}

}  // namespace tendril::command
