// Job control of a terminal, by a process that is not in its foreground: a thread that blocks or
// ignores SIGTTIN gets EIO from a read, and one that blocks or ignores SIGTTOU may change the
// terminal. A handler runs once for each call.
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "check.h"

static int terminal;

static void set_blocked(int number, int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  CHECK_RC(pthread_sigmask(how, &set, NULL));
}

static void to_background(void) { CHECK_OK(tcsetpgrp(terminal, getppid())); }

static void* blocks_and_ignores(void* argument) {
  char c;
  struct termios mode;
  CHECK_OK(tcgetattr(terminal, &mode));
  set_blocked(SIGTTIN, SIG_BLOCK);
  CHECK_ERRNO(EIO, read(terminal, &c, 1));
  set_blocked(SIGTTIN, SIG_UNBLOCK);
  CHECK(signal(SIGTTIN, SIG_IGN) != SIG_ERR);
  CHECK_ERRNO(EIO, read(terminal, &c, 1));
  CHECK_OK(fcntl(terminal, F_SETFL, O_RDWR | O_NONBLOCK));
  CHECK_ERRNO(EIO, read(terminal, &c, 1));
  CHECK_OK(fcntl(terminal, F_SETFL, O_RDWR));

  set_blocked(SIGTTOU, SIG_BLOCK);
  mode.c_lflag |= TOSTOP;
  CHECK_OK(tcsetattr(terminal, TCSANOW, &mode));
  CHECK_OK(tcsetattr(terminal, TCSADRAIN, &mode));
  CHECK_EQ(1, write(terminal, "b", 1));
  CHECK_OK(tcsetpgrp(terminal, getpgrp()));
  CHECK_EQ(getpgrp(), tcgetpgrp(terminal));
  to_background();
  set_blocked(SIGTTOU, SIG_UNBLOCK);
  CHECK(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
  CHECK_OK(tcsetattr(terminal, TCSADRAIN, &mode));
  CHECK_EQ(1, write(terminal, "i", 1));
  CHECK_OK(tcsetpgrp(terminal, getpgrp()));
  to_background();
  return argument;
}

// --- a handler runs once for each call, where no other thread takes the signal ---

enum { kCalls = 300 };
static volatile int handled, done;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* computes(void* argument) {
  while (!done) continue;
  return argument;
}

static void* is_interrupted(void* argument) {
  char c;
  struct termios mode;
  set_blocked(SIGTTIN, SIG_UNBLOCK);
  set_blocked(SIGTTOU, SIG_UNBLOCK);
  for (int i = 0; i < kCalls; ++i) {
    CHECK_ERRNO(EINTR, read(terminal, &c, 1));
    CHECK_EQ(i + 1, handled);
  }
  CHECK_OK(tcgetattr(terminal, &mode));
  for (int i = 0; i < kCalls; ++i) {
    const int drains = i % 2 == 0;
    CHECK_ERRNO(EINTR, tcsetattr(terminal, drains ? TCSADRAIN : TCSANOW, &mode));
    CHECK_EQ(kCalls + i + 1, handled);
  }
  done = 1;
  return argument;
}

static void once_for_each_call(void) {
  const struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGTTIN, &action, NULL));
  CHECK_OK(sigaction(SIGTTOU, &action, NULL));
  set_blocked(SIGTTIN, SIG_BLOCK);
  set_blocked(SIGTTOU, SIG_BLOCK);
  pthread_t computing = start_thread(computes, NULL);
  pthread_t interrupted = start_thread(is_interrupted, NULL);
  computes(NULL);
  join_thread(computing);
  join_thread(interrupted);
}

int main(void) {
  const pid_t leader = fork();
  CHECK_OK(leader);
  if (leader != 0) {
    int status;
    CHECK_EQ(leader, waitpid(leader, &status, 0));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
  }
  CHECK_OK(setsid());
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK_OK(master);
  CHECK_OK(grantpt(master));
  CHECK_OK(unlockpt(master));
  char name[64];
  CHECK_RC(ptsname_r(master, name, sizeof name));
  terminal = open(name, O_RDWR);  // the session's
  CHECK_OK(terminal);
  be_threaded();
  CHECK(signal(SIGTTOU, SIG_IGN) != SIG_ERR);  // it takes the foreground from its child

  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(setpgid(0, 0));
    CHECK(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
    join_thread(start_thread(blocks_and_ignores, NULL));
    pass("blocked and ignored");
    once_for_each_call();
    pass("a handler");
    return 0;
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK_EQ(0, status);
  return 0;
}
