// Files, by name and by descriptor.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

const std::vector<long> kOpenFlags = {O_RDONLY,
                                      O_WRONLY,
                                      O_RDWR,
                                      O_RDWR | O_CREAT,
                                      O_RDWR | O_CREAT,
                                      O_RDWR | O_CREAT | O_TRUNC,
                                      O_WRONLY | O_APPEND,
                                      O_RDONLY | O_NONBLOCK,
                                      O_WRONLY | O_NONBLOCK,
                                      O_RDWR | O_NONBLOCK,
                                      O_CREAT | O_EXCL | O_RDWR,
                                      O_DIRECTORY,
                                      O_PATH,
                                      O_RDONLY | O_NOFOLLOW,
                                      O_RDONLY | O_CLOEXEC,
                                      3};

Argument mode() { return one_of({0600, 0644, 0}); }
Argument directory() {
  return [](Builder& b) {
    return b.random.chance(70) ? b.number(AT_FDCWD) : b.fd(kDirectory | kFile, {});
  };
}

void opens(Builder& b) {
  b.call.takes_number = b.call.holds_number = true;
  b.call.after = [&world = b.world](long result) {
    if (result < 0) return;
    struct stat status;
    fstat(static_cast<int>(result), &status);
    world.opened(static_cast<int>(result), world.make_object(S_ISFIFO(status.st_mode)  ? kPipeEnd
                                                             : S_ISDIR(status.st_mode) ? kDirectory
                                                                                       : kFile));
  };
}

}  // namespace

const std::vector<CallSpec>& file_calls() {
  static const std::vector<CallSpec> calls = {
      {"open", SYS_open, kFileFamily, 6, {path(), one_of(kOpenFlags), mode()}, opens, nullptr},
      {"openat",
       SYS_openat,
       kFileFamily,
       4,
       {directory(), path(), one_of(kOpenFlags), mode()},
       opens,
       nullptr},
      {"openat2",
       SYS_openat2,
       kFileFamily,
       2,
       {directory(), path(),
        [](Builder& b) {
          open_how how;
          memset(&how, 0, sizeof how);
          how.flags = static_cast<uint64_t>(b.random.one_of(kOpenFlags));
          if ((how.flags & O_CREAT) != 0) how.mode = 0600;
          if (b.is_wild()) how.resolve = 1 << 20;
          return b.structure(how, Shown::kNever);
        },
        size()},
       opens,
       nullptr},
      {"creat", SYS_creat, kFileFamily, 2, {path(), mode()}, opens, nullptr},
      {"mkdir", SYS_mkdir, kFileFamily, 1, {path(), constant(0700)}, {}, nullptr},
      {"mknod",
       SYS_mknod,
       kFileFamily,
       2,
       {path(), constant(S_IFIFO | 0600), constant(0)},
       {},
       nullptr},
      {"unlink", SYS_unlink, kFileFamily, 2, {path()}, {}, nullptr},
      {"rmdir", SYS_rmdir, kFileFamily, 1, {path()}, {}, nullptr},
      {"rename", SYS_rename, kFileFamily, 1, {path(), path()}, {}, nullptr},
      {"link", SYS_link, kFileFamily, 1, {path(), path()}, {}, nullptr},
      {"symlink", SYS_symlink, kFileFamily, 1, {path(), path()}, {}, nullptr},
      {"readlink", SYS_readlink, kFileFamily, 1, {path(), out({0, 1, 100}), size()}, {}, nullptr},
      {"access", SYS_access, kFileFamily, 1, {path(), one_of({0, 1, 4, 7, 8, -1})}, {}, nullptr},
      {"stat", SYS_stat, kFileFamily, 1, {path(), out({144}, Shown::kWhether)}, {}, nullptr},
      {"fstat", SYS_fstat, kFileFamily, 1, {any_fd(), out({144}, Shown::kWhether)}, {}, nullptr},
      {"newfstatat",
       SYS_newfstatat,
       kFileFamily,
       1,
       {directory(), path(), out({144}, Shown::kWhether),
        one_of({0, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, 1})},
       {},
       nullptr},
      {"truncate", SYS_truncate, kFileFamily, 1, {path(), one_of({0, 10, 5000, -1})}, {}, nullptr},
      {"ftruncate",
       SYS_ftruncate,
       kFileFamily,
       2,
       {fd(kFile), one_of({0, 10, 5000, -1})},
       {},
       nullptr},
      {"lseek",
       SYS_lseek,
       kFileFamily,
       5,
       {fd(kFile), one_of({0, 1, 10, -1, 5000, LONG_MAX}),
        one_of({SEEK_SET, SEEK_CUR, SEEK_END, 3, 4, 9, -1})},
       {},
       nullptr},
      {"fsync", SYS_fsync, kFileFamily, 1, {any_fd()}, {}, nullptr},
      {"fdatasync", SYS_fdatasync, kFileFamily, 1, {any_fd()}, {}, nullptr},
      {"sync_file_range",
       SYS_sync_file_range,
       kFileFamily,
       1,
       {any_fd(), one_of({0, 10, -1}), one_of({0, 100, -1}), one_of({0, 2, 7, 8})},
       {},
       nullptr},
      {"fallocate",
       SYS_fallocate,
       kFileFamily,
       1,
       {fd(kFile), one_of({0, 1}), one_of({0, 10, -1}), one_of({0, 100, -1})},
       {},
       nullptr},
      {"copy_file_range",
       SYS_copy_file_range,
       kFileFamily,
       2,
       {fd(kFile), null(), fd(kFile), null(), one_of({0, 1, 100, 5000}), one_of({0, 0, 1})},
       {},
       nullptr},
      {"flock",
       SYS_flock,
       kFileFamily,
       5,
       {fd(kFile),
        one_of({LOCK_SH, LOCK_EX, LOCK_UN, LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, 0, -1, 16})},
       {},
       nullptr},
      {"chdir",
       SYS_chdir,
       kFileFamily,
       1,
       {[](Builder& b) { return b.pointer("missing", 8, Shown::kNever); }},
       {},
       nullptr},
      {"memfd_create",
       SYS_memfd_create,
       kFileFamily,
       2,
       {path(), one_of({0, 1, 2, 3, 64, -1})},
       makes(kFile),
       nullptr},
      {"inotify_init1",
       SYS_inotify_init1,
       kFileFamily | kWaitFamily,
       2,
       {one_of({0, IN_NONBLOCK, IN_CLOEXEC, 3})},
       makes(kInotify),
       nullptr},
      {"inotify_add_watch",
       SYS_inotify_add_watch,
       kFileFamily | kWaitFamily,
       3,
       {fd(kInotify), path(),
        one_of(
            {IN_CREATE | IN_DELETE, IN_MODIFY, IN_OPEN | IN_CLOSE, IN_ALL_EVENTS & ~IN_MOVE, 0})},
       {},
       nullptr},
      {"inotify_rm_watch",
       SYS_inotify_rm_watch,
       kFileFamily,
       1,
       {fd(kInotify), one_of({1, 2, 9, -1})},
       {},
       nullptr},
      {"getdents64",
       SYS_getdents64,
       kFileFamily,
       1,
       {fd(kDirectory), out({0, 10, 4096}, Shown::kWhether), size()},
       value_varies,
       nullptr},
      {"umask", SYS_umask, kFileFamily, 1, {one_of({0, 022, 077})}, {}, nullptr},
      {"getcwd",
       SYS_getcwd,
       kFileFamily,
       1,
       {out({0, 1, 4096}, Shown::kWhether), size()},
       value_varies,
       nullptr},
  };
  return calls;
}

}  // namespace differential
