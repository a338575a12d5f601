// /proc/self/fd lists the descriptors that the process has, and no others: whatever it reads with.
#include <dirent.h>

#include "check.h"

enum { kMost = 65536 };

static pthread_barrier_t barrier;

static void* waits(void* argument) {
  pthread_barrier_wait(&barrier);
  return argument;
}

static int number_of(const char* name) {
  char* end;
  long number = strtol(name, &end, 10);
  return *name != '\0' && *end == '\0' ? (int)number : -1;
}

// Each that is listed is one, and each of ours is listed.
static void check_list(const char* path, size_t buffer_size) {
  static char listed[kMost];
  memset(listed, 0, sizeof listed);
  int directory = open(path, O_RDONLY | O_DIRECTORY);
  CHECK(directory >= 0);
  char buffer[4096] __attribute__((aligned(8)));
  long size;
  while ((size = syscall(SYS_getdents64, directory, buffer, buffer_size)) > 0) {
    for (long at = 0; at < size;) {
      struct dirent64* entry = (struct dirent64*)(buffer + at);
      int number = number_of(entry->d_name);
      if (number >= 0) {
        CHECK(number < kMost);
        CHECK(fcntl(number, F_GETFD) >= 0);
        CHECK_EQ(0, listed[number]);
        listed[number] = 1;
      }
      at += entry->d_reclen;
    }
  }
  CHECK_EQ(0, size);
  for (int fd = 0; fd < kMost; ++fd) CHECK_EQ(fcntl(fd, F_GETFD) >= 0, listed[fd]);
  CHECK_OK(close(directory));
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&barrier, NULL, 2));
  pthread_t thread = start_thread(waits, NULL);
  check_list("/proc/self/fd", 4096);
  check_list("/proc/self/fdinfo", 4096);
  check_list("/proc/self/fd", 32);  // an entry or two at a time
  check_list("/proc/thread-self/fd", 4096);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", getpid());
  check_list(path, 256);
  snprintf(path, sizeof path, "/proc/%d/task/%d/fdinfo", getpid(), getpid());
  check_list(path, 256);
  pass("every descriptor and no others");

  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    check_list("/proc/self/fd", 4096);
    be_threaded();
    check_list("/proc/self/fd", 4096);
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("in a child");

  // What has such a name elsewhere is shown.
  char template[] = "/tmp/descriptor_list.XXXXXX";
  CHECK(mkdtemp(template) != NULL);
  int files = 0;
  for (int number = 16000; number < 16400; ++number) {
    snprintf(path, sizeof path, "%s/%d", template, number);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_OK(close(fd));
  }
  DIR* directory = opendir(template);
  CHECK(directory != NULL);
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
    if (number_of(entry->d_name) < 0) continue;
    ++files;
    CHECK_OK(unlinkat(dirfd(directory), entry->d_name, 0));
  }
  CHECK_OK(closedir(directory));
  CHECK_OK(rmdir(template));
  CHECK_EQ(400, files);
  pass("files with such names");
  pthread_barrier_wait(&barrier);
  join_thread(thread);
  return 0;
}
