// What a program finds in its environment is what was given to it, whichever way it is executed;
// and it runs as its parent does, whatever environment it got.
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

static char program[4096];
static char* const kEmpty[] = {NULL};
static char* const kOwn[] = {"FIRST=1", "LD_PRELOAD=libm.so.6",
                             "GLIBC_TUNABLES=glibc.malloc.check=0", "LAST=1", NULL};

// The libraries that are mapped tell how a program runs.
static unsigned mapped_libraries(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char line[4096];
  unsigned count = 0;
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, "interpose") != NULL) count = 1;
  }
  fclose(maps);
  return count;
}

// Behind the environment lies the auxiliary vector; some runtimes look for it there.
static int auxiliary_vector_follows(void) {
  char** at = environ;
  while (*at != NULL) ++at;
  const Elf64_auxv_t* entry = (const Elf64_auxv_t*)(at + 1);
  for (int i = 0; i < 64 && entry->a_type != AT_NULL; ++i, ++entry) {
    if (entry->a_type == AT_PAGESZ) return entry->a_un.a_val == 4096;
  }
  return 0;
}

static int child(const char* form, const char* parents_libraries) {
  printf("%s:", form);
  // What a shell adds in between is not looked at.
  for (char** at = environ; *at != NULL; ++at) {
    if (strncmp(*at, "PWD=", 4) != 0 && strncmp(*at, "OLDPWD=", 7) != 0 &&
        strncmp(*at, "SHLVL=", 6) != 0 && strncmp(*at, "_=", 2) != 0) {
      printf(" %s", *at);
    }
  }
  if (!auxiliary_vector_follows()) printf(" (no auxiliary vector)");
  if (mapped_libraries() != (unsigned)atoi(parents_libraries)) printf(" (runs differently)");
  printf("\n");
  return 0;
}

static char libraries[16];

enum way { EXECVE, EXECV, EXECVP, EXECLE, EXECVEAT, FEXECVE, WAYS };
static const char* const way_names[] = {"execve", "execv",    "execvp",
                                        "execle", "execveat", "fexecve"};

static __attribute__((noinline)) void exec_by(enum way way, char* const* environment) {
  char* words[] = {program, "child", (char*)way_names[way], libraries, NULL};
  environ = (char**)environment;
  switch (way) {
    case EXECVE:
      execve(program, words, environment);
      break;
    case EXECV:
      execv(program, words);
      break;
    case EXECVP:
      execvp(program, words);
      break;
    case EXECLE:
      execle(program, words[0], words[1], words[2], words[3], NULL, environment);
      break;
    case EXECVEAT:
      execveat(AT_FDCWD, program, words, environment, 0);
      break;
    case FEXECVE:
      fexecve(open(program, O_RDONLY | O_CLOEXEC), words, environment);
      break;
    default:
      break;
  }
  _exit(127);
}

static void reap(pid_t pid) {
  int status;
  CHECK(pid > 0);
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void all_ways(char* const* environment) {
  char** own = environ;
  for (volatile int way = 0; way < WAYS; ++way) {
    const pid_t forked = fork();
    if (forked == 0) exec_by((enum way)way, environment);
    reap(forked);
    const pid_t vforked = vfork();
    if (vforked == 0) exec_by((enum way)way, environment);
    environ = own;
    reap(vforked);
  }
  pid_t pid;
  char* words[] = {program, "child", "posix_spawn", libraries, NULL};
  CHECK(posix_spawn(&pid, program, NULL, NULL, words, environment) == 0);
  reap(pid);
  words[2] = "posix_spawnp";
  CHECK(posix_spawnp(&pid, program, NULL, NULL, words, environment) == 0);
  reap(pid);
  environ = (char**)environment;
  char line[4200];
  snprintf(line, sizeof line, "%s child system %s", program, libraries);
  CHECK(system(line) == 0);
  snprintf(line, sizeof line, "%s child popen %s", program, libraries);
  FILE* out = popen(line, "r");
  CHECK(out != NULL);
  while (fgets(line, sizeof line, out) != NULL) fputs(line, stdout);
  CHECK(pclose(out) == 0);
  environ = own;
  char* const* volatile nowhere = (char* const*)1;
  // Failures are the kernel's.
  CHECK_ERRNO(ENOENT, execve("/nowhere/at all", words, environment));
  CHECK_ERRNO(EACCES, execve("/", words, environment));
  CHECK_ERRNO(EFAULT, execve(program, words, nowhere));
  char* broken[] = {"A=1", (char*)1, NULL};
  CHECK_ERRNO(EFAULT, execve(program, words, broken));
}

static void* in_a_thread(void* argument) {
  (void)argument;
  all_ways(kOwn);
  all_ways(kEmpty);
  return NULL;
}

static void* exec_whole_process(void* argument) {
  char* words[] = {program, "child", "raw execve", libraries, NULL};
  syscall(SYS_execve, program, words, kOwn);
  return argument;
}

int main(int argc, char** argv) {
  if (argc == 4) return child(argv[2], argv[3]);
  setvbuf(stdout, NULL, _IONBF, 0);
  CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
  CHECK(getenv("LD_PRELOAD") == NULL);
  CHECK(auxiliary_vector_follows());
  snprintf(libraries, sizeof libraries, "%u", mapped_libraries());
  CHECK(mapped_libraries() <= 1);
  printf("one thread\n");
  all_ways(kOwn);
  all_ways(kEmpty);
  printf("two threads\n");
  join_thread(start_thread(in_a_thread, NULL));
  printf("many variables\n");
  enum { MANY = 5000 };
  static char* many[MANY + 1];
  for (int i = 0; i < MANY; ++i) many[i] = i == 0 ? "A=1" : "";
  char* words[] = {"sh", "-c", "test $A = 1", NULL};
  pid_t pid;
  CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, words, many) == 0);
  reap(pid);
  printf("a thread executes the process\n");
  join_thread(start_thread(exec_whole_process, NULL));
  return 1;
}
