// posix_spawn with file actions and attributes, from several threads at once.
#include <spawn.h>

#include "check.h"

extern char** environ;

static pid_t spawn_shell(const char* command, const posix_spawn_file_actions_t* actions,
                         const posix_spawnattr_t* attr) {
  pid_t child = 0;
  char* const arguments[] = {"sh", "-c", (char*)command, NULL};
  CHECK_RC(posix_spawn(&child, "/bin/sh", actions, attr, arguments, environ));
  CHECK(child > 0);
  return child;
}

static void* spawns(void* argument) {
  for (int i = 0; i < 5; ++i) {
    int in[2], out[2];
    CHECK_OK(pipe2(in, O_CLOEXEC));
    CHECK_OK(pipe2(out, O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    CHECK_RC(posix_spawn_file_actions_init(&actions));
    CHECK_RC(posix_spawn_file_actions_adddup2(&actions, in[0], 0));
    CHECK_RC(posix_spawn_file_actions_adddup2(&actions, out[1], 1));
    CHECK_RC(posix_spawn_file_actions_addopen(&actions, 9, "/dev/null", O_RDONLY, 0));
    CHECK_RC(posix_spawn_file_actions_addclose(&actions, 9));
    pid_t child = spawn_shell("read x; echo got $x; exit 4", &actions, NULL);
    CHECK_RC(posix_spawn_file_actions_destroy(&actions));
    CHECK_OK(close(in[0]));
    CHECK_OK(close(out[1]));
    CHECK_EQ(6, write(in[1], "hello\n", 6));
    char text[16] = {0};
    read_all(out[0], text, 10);
    CHECK_STR("got hello\n", text);
    CHECK_EQ(0, read(out[0], text, 1));
    CHECK_OK(close(in[1]));
    CHECK_OK(close(out[0]));
    CHECK_EXITED(4, child);
  }
  return argument;
}

static void on_signal(int number) { (void)number; }

static void* with_attributes(void* argument) {
  posix_spawnattr_t attr;
  sigset_t set;
  CHECK_RC(posix_spawnattr_init(&attr));
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  CHECK_RC(posix_spawnattr_setsigdefault(&attr, &set));
  sigemptyset(&set);
  CHECK_RC(posix_spawnattr_setsigmask(&attr, &set));
  CHECK_RC(posix_spawnattr_setpgroup(&attr, 0));
  CHECK_RC(posix_spawnattr_setflags(
      &attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP));
  pid_t child = spawn_shell("exec sleep 60", NULL, &attr);
  CHECK_EQ(child, getpgid(child));
  CHECK_OK(kill(child, SIGTERM));  // ignored here, not there
  CHECK_KILLED(SIGTERM, child);

  // The mask and what is ignored are inherited where the attributes do not say otherwise.
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  child = spawn_shell("kill -USR1 $$; kill -TERM $$; exit 6", NULL, NULL);
  CHECK_EXITED(6, child);
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(spawns, NULL);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  spawns(NULL);
  pass("file actions");
  join_thread(start_thread(with_attributes, NULL));
  pass("attributes");

  pid_t child = -5;
  char* const arguments[] = {"nothing", NULL};
  CHECK_EQ(ENOENT, posix_spawn(&child, "/nonexistent/program", NULL, NULL, arguments, environ));
  CHECK_EQ(EACCES, posix_spawn(&child, "/dev/null", NULL, NULL, arguments, environ));
  char* const truth[] = {"true", NULL};
  CHECK_RC(posix_spawnp(&child, "true", NULL, NULL, truth, environ));
  CHECK_EXITED(0, child);
  pass("errors, and search in PATH");
  return 0;
}
