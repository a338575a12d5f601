// Landlock restricts the thread that asks for it and those that it makes, and nobody else.
#include <linux/landlock.h>
#include <sys/prctl.h>

#include "check.h"

static char file[] = "/tmp/landlock.XXXXXX";
static int ends[2];

static int may_write(void) {
  int fd = open(file, O_WRONLY);
  if (fd == -1) CHECK_EQ(EACCES, errno);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static void* inherits(void* argument) {
  CHECK(!may_write());
  return argument;
}

static void* restricts_itself(void* argument) {
  struct landlock_ruleset_attr rules = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
  CHECK_OK(ruleset);
  if (geteuid() != 0) CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_OK(syscall(SYS_landlock_restrict_self, ruleset, 0));
  CHECK_OK(close(ruleset));
  CHECK(!may_write());
  join_thread(start_thread(inherits, NULL));
  // It waits while others run, and is still restricted.
  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK(!may_write());
  return argument;
}

int main(void) {
  int fd = mkstemp(file);
  CHECK_OK(fd);
  CHECK_OK(close(fd));
  CHECK_OK(pipe(ends));
  // A kernel without it has nothing to differ in.
  const int there =
      syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
  if (there) {
    pthread_t thread = start_thread(restricts_itself, NULL);
    for (int i = 0; i < 50; ++i) {
      CHECK(may_write());
      usleep(1000);
    }
    CHECK_EQ(1, write(ends[1], "c", 1));
    join_thread(thread);
    CHECK(may_write());
    CHECK_ERRNO(EBADF, syscall(SYS_landlock_restrict_self, -1, 0));
  }
  pass("one thread alone is restricted");
  CHECK_OK(unlink(file));
  return 0;
}
