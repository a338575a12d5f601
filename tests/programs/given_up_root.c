// A daemon that gives up the rights of root before its first thread: it cannot be dumped from then
// on, and may not open /proc/self/mem. Its threads work as others do, and so does a child of
// theirs.
#include <grp.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "check.h"

enum { kBytes = 1000, kOpens = 1000, kSignals = 20, kNobody = 65534 };

static int there[2], back[2];

static void* answers(void* argument) {
  char byte;
  for (int i = 0; i < kBytes; ++i) {
    CHECK_EQ(1, read(there[0], &byte, 1));
    ++byte;
    CHECK_EQ(1, write(back[1], &byte, 1));
  }
  return argument;
}

static void* works(void* argument) {
  pthread_t other = start_thread(answers, NULL);
  for (int i = 0; i < kBytes; ++i) {
    char byte = (char)i;
    CHECK_EQ(1, write(there[1], &byte, 1));
    CHECK_EQ(1, read(back[0], &byte, 1));
    CHECK_EQ((char)(i + 1), byte);
    CHECK(getppid() > 0);
  }
  join_thread(other);
  for (int i = 0; i < kOpens; ++i) {
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_OK(fd);
    CHECK_OK(close(fd));
  }
  return argument;
}

static atomic_int handled;
static void on_signal(int number) {
  (void)number;
  atomic_fetch_add(&handled, 1);
}

int main(void) {
  CHECK_OK(pipe(there));
  CHECK_OK(pipe(back));
  if (geteuid() == 0) {
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setgid(kNobody));
    CHECK_OK(setuid(kNobody));
  }
  CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
  CHECK_ERRNO(EACCES, open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  pass("it may not write to its code");

  join_thread(start_thread(works, NULL));
  pass("threads");

  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t thread = start_thread(works, NULL);
  for (int i = 1; i <= kSignals; ++i) {
    CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
    CHECK_EQ(i, atomic_load(&handled));
  }
  join_thread(thread);
  pass("signals");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    join_thread(start_thread(works, NULL));
    _exit(5);
  }
  CHECK_EXITED(5, child);
  pass("a child's threads");
  return 0;
}
