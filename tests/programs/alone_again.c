// A process that has had threads, and has one again: calls that the Linux kernel takes from such a
// process only (user and time namespaces), and those that concern one thread succeed, and
// /proc/self shows what they have changed; threads can be made afterwards, where Linux allows it.
#include <linux/sched.h>
#include <sys/file.h>

#include "check.h"

enum { kThreads = 4 };

static pid_t running;

// Computes, waits for others, and makes a call that may wait.
static void* works(void* argument) {
  const int64_t end = mono_ns() + MS(20);
  while (mono_ns() < end) __atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
  sched_yield();
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_OK(fd);
  CHECK_OK(flock(fd, LOCK_SH));
  CHECK_OK(close(fd));
  settle();
  return argument;
}

static void have_threads(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(works, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

static void read_link(const char* name, char link[64]) {
  const ssize_t size = readlink(name, link, 63);
  CHECK_OK(size);
  link[size] = '\0';
}

static void check_unshared(int flag, const char* name) {
  char before[64], after[64];
  read_link(name, before);
  CHECK_OK(unshare(flag));
  read_link(name, after);
  CHECK(strcmp(before, after) != 0);
}

static char the_link[64];
static void* check_same(void* argument) {
  char link[64];
  read_link(argument, link);
  CHECK_STR(the_link, link);
  return NULL;
}

// Threads that are made now are in the same namespace.
static void check_threads_in(const char* name) {
  have_threads();
  read_link(name, the_link);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(check_same, (void*)name);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

static void user_namespace(void) {
  check_unshared(CLONE_NEWUSER, "/proc/self/ns/user");
  int fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
  CHECK_OK(fd);
  CHECK_EQ(4, write(fd, "deny", 4));
  CHECK_OK(close(fd));
  check_threads_in("/proc/thread-self/ns/user");
}

static void mount_namespace(void) {
  int old = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  CHECK_OK(old);
  char first[64], last[64];
  read_link("/proc/self/ns/mnt", first);
  check_unshared(CLONE_NEWNS, "/proc/self/ns/mnt");
  check_threads_in("/proc/thread-self/ns/mnt");
  CHECK_OK(setns(old, CLONE_NEWNS));
  read_link("/proc/self/ns/mnt", last);
  CHECK_STR(first, last);
  check_threads_in("/proc/thread-self/ns/mnt");
}

// Not every version of Linux allows it.
static void try_thread(void) {
  pthread_t thread;
  const int error = pthread_create(&thread, NULL, do_nothing, NULL);
  if (error != 0) {
    CHECK_EQ(EINVAL, error);
  } else {
    join_thread(thread);
  }
}

static void child_is_first(void) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    have_threads();
    _exit(getpid() == 1 ? 5 : 6);
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK(WIFEXITED(status));
  CHECK_EQ(5, WEXITSTATUS(status));
}

static void pid_namespace(void) {
  int old = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  CHECK_OK(old);
  CHECK_OK(unshare(CLONE_NEWPID));
  try_thread();
  child_is_first();
  CHECK_OK(setns(old, CLONE_NEWPID));
  have_threads();
}

static void time_namespace(void) {
  if (access("/proc/self/timens_offsets", F_OK) != 0) return;
  check_unshared(CLONE_NEWTIME, "/proc/self/ns/time_for_children");
  int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  CHECK_OK(fd);
  CHECK_EQ(11, write(fd, "1 1000000 0", 11));
  CHECK_OK(close(fd));
  try_thread();
  const int64_t here = mono_ns();
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) _exit(mono_ns() - here > MS(999999000) ? 5 : 6);
  CHECK_EXITED(5, child);
}

static void descriptors(void) {
  CHECK_OK(unshare(CLONE_FILES));
  CHECK_OK(unshare(CLONE_THREAD));
  CHECK_OK(unshare(CLONE_FS | CLONE_SYSVSEM));
  have_threads();
}

static void in_child(void (*body)(void)) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    have_threads();
    body();
    _exit(3);
  }
  CHECK_EXITED(3, child);
}

int main(void) {
  pid_t probe = fork();
  CHECK_OK(probe);
  if (probe == 0) _exit(unshare(CLONE_NEWUSER) == 0 && unshare(CLONE_NEWNS) == 0 ? 1 : 0);
  int status;
  CHECK_EQ(probe, waitpid(probe, &status, 0));
  const int has_namespaces = WEXITSTATUS(status) == 1 && geteuid() == 0;
  in_child(descriptors);
  if (has_namespaces) in_child(user_namespace);
  if (has_namespaces) in_child(mount_namespace);
  if (has_namespaces) in_child(pid_namespace);
  if (has_namespaces) in_child(time_namespace);
  pass("a process with one thread again");
  return 0;
}
