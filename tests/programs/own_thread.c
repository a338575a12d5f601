// What Linux keeps for each thread alone: file system identity, capabilities, the working directory
// after unshare, flags of prctl. One thread sets it, the others do not notice; its own waits go on
// as ever, and threads that it makes inherit it.
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "check.h"

enum { kUser = 54321 };

static char folder[] = "/tmp/own_thread.XXXXXX";
static char secret[64];
static int ends[2];
static sem_t go, done;

static int may_read(void) {
  int fd = open(secret, O_RDONLY);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static int capabilities(unsigned* effective) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  const int rc = (int)syscall(SYS_capget, &header, data);
  *effective = data[0].effective;
  return rc;
}

static void* inherits(void* argument) {
  CHECK(!may_read());
  return argument;
}

static void* is_another_user(void* argument) {
  CHECK_EQ(0, setfsuid(kUser));
  CHECK_EQ(kUser, setfsuid(-1));
  CHECK(!may_read());
  join_thread(start_thread(inherits, NULL));
  // It waits, with others awake, and is still itself.
  CHECK_OK(sem_post(&done));
  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  sem_take(&go);
  usleep(1000);
  CHECK(!may_read());
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) _exit(may_read() ? 1 : 0);
  CHECK_EXITED(0, child);
  CHECK_EQ(kUser, setfsuid(0));
  CHECK(may_read());
  return argument;
}

static void* has_no_capabilities(void* argument) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  CHECK_OK(syscall(SYS_capget, &header, data));
  data[0].effective &= ~(1U << CAP_CHOWN);
  header.pid = gettid();
  CHECK_OK(syscall(SYS_capset, &header, data));
  CHECK_ERRNO(EPERM, chown(secret, kUser, kUser));
  unsigned effective;
  CHECK_OK(capabilities(&effective));
  CHECK(!(effective & 1U << CAP_CHOWN));
  header.pid = 0;
  header.version = 1;
  CHECK_ERRNO(EINVAL, syscall(SYS_capget, &header, data));
  CHECK_EQ(_LINUX_CAPABILITY_VERSION_3, header.version);
  CHECK_OK(sem_post(&done));
  sem_take(&go);
  CHECK_ERRNO(EPERM, chown(secret, kUser, kUser));
  return argument;
}

static void* goes_elsewhere(void* argument) {
  CHECK_OK(unshare(CLONE_FS));
  CHECK_OK(chdir("/"));
  CHECK_OK(sem_post(&done));
  sem_take(&go);
  char name[PATH_MAX];
  CHECK_STR("/", getcwd(name, sizeof name));
  return argument;
}

static void* sets_flags(void* argument) {
  CHECK_OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  CHECK_EQ(1, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  CHECK_EQ(PER_LINUX, personality(ADDR_NO_RANDOMIZE));
  CHECK_EQ(ADDR_NO_RANDOMIZE, personality(0xffffffff));
  CHECK_OK(sem_post(&done));
  sem_take(&go);
  CHECK_EQ(1, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  CHECK_EQ(ADDR_NO_RANDOMIZE, personality(0xffffffff));
  return argument;
}

static volatile sig_atomic_t handled;
static void on_signal(int number) { handled += number == SIGUSR1; }

static void* waits_alone(void* argument) {
  CHECK_OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  CHECK_OK(sem_post(&done));
  int status;
  // Waits that other threads of the process would make for it, if it had none of its own.
  CHECK_EQ((pid_t)(intptr_t)argument, waitpid((pid_t)(intptr_t)argument, &status, 0));
  CHECK_ERRNO(ECHILD, waitpid((pid_t)(intptr_t)argument, &status, 0));
  return NULL;
}

static void* is_interrupted(void* argument) {
  CHECK_OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  CHECK_OK(sem_post(&done));
  CHECK_ERRNO(EINTR, waitpid((pid_t)(intptr_t)argument, NULL, 0));
  CHECK_ERRNO(EINTR, pause());
  return NULL;
}

static void* short_lived(void* argument) {
  CHECK_OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  CHECK_EQ(1, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  return argument;
}

static pid_t sleeping_child(void) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    for (;;) pause();
  }
  return child;
}

int main(void) {
  be_threaded();
  CHECK(mkdtemp(folder) != NULL);
  CHECK_OK(chmod(folder, 0755));
  snprintf(secret, sizeof secret, "%s/secret", folder);
  CHECK_OK(close(open(secret, O_CREAT | O_WRONLY, 0600)));
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_OK(sem_init(&done, 0, 0));
  CHECK_OK(pipe(ends));

  unsigned effective = 0;
  CHECK_OK(capabilities(&effective));
  const int privileged = geteuid() == 0 && (effective & 1U << CAP_SETUID) &&
                         (effective & 1U << CAP_DAC_OVERRIDE) && (effective & 1U << CAP_CHOWN);
  pthread_t thread;
  if (privileged) {
    thread = start_thread(is_another_user, NULL);
    sem_take(&done);
    CHECK(may_read());
    CHECK_EQ(0, setfsuid(-1));
    CHECK_EQ(1, write(ends[1], "x", 1));
    CHECK_OK(sem_post(&go));
    join_thread(thread);
    CHECK(may_read());
  }
  pass("setfsuid");

  if (privileged) {
    thread = start_thread(has_no_capabilities, NULL);
    sem_take(&done);
    CHECK_OK(chown(secret, kUser, kUser));
    CHECK_OK(chown(secret, 0, 0));
    CHECK_OK(sem_post(&go));
    join_thread(thread);
  }
  pass("capset");

  char before[PATH_MAX], now[PATH_MAX];
  CHECK_OK(chdir(folder));
  CHECK(getcwd(before, sizeof before) != NULL);
  thread = start_thread(goes_elsewhere, NULL);
  sem_take(&done);
  CHECK_STR(before, getcwd(now, sizeof now));
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  CHECK_ERRNO(EINVAL, unshare(0x40));
  pass("unshare");

  thread = start_thread(sets_flags, NULL);
  sem_take(&done);
  CHECK_EQ(0, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  CHECK_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  CHECK_EQ(PER_LINUX, personality(0xffffffff));
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  pass("prctl and personality");

  pid_t child = sleeping_child();
  thread = start_thread(waits_alone, (void*)(intptr_t)child);
  sem_take(&done);
  settle();
  CHECK_OK(kill(child, SIGKILL));
  join_thread(thread);
  const struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  child = sleeping_child();
  thread = start_thread(is_interrupted, (void*)(intptr_t)child);
  sem_take(&done);
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    usleep(2000);
  }
  CHECK(handled >= 2);
  CHECK_OK(kill(child, SIGKILL));
  wait_status(child);
  pass("waits of such a thread");

  for (int i = 0; i < 300; ++i) join_thread(start_thread(short_lived, NULL));
  pthread_t threads[30];
  for (int i = 0; i < 30; ++i) threads[i] = start_thread(short_lived, NULL);
  for (int i = 0; i < 30; ++i) join_thread(threads[i]);
  CHECK_EQ(0, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
  pass("many of them");

  int signal = 0;
  CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
  CHECK_OK(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0));
  CHECK_EQ(SIGUSR2, signal);
  CHECK_OK(unlink(secret));
  CHECK_OK(chdir("/"));
  CHECK_OK(rmdir(folder));
  pass("PR_SET_PDEATHSIG");
  return 0;
}
