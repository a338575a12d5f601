// A thread that reads from inotify blocks until something happens in the directory.
#include <sys/inotify.h>

#include "check.h"

static int notifier;
static char directory[] = "/tmp/tendril-test-XXXXXX";

static void* reads_events(void* argument) {
  char buffer[4096] __attribute__((aligned(8)));
  int seen = 0;
  while (seen < 10) {
    ssize_t n = read(notifier, buffer, sizeof buffer);
    CHECK(n > 0);
    for (char* at = buffer; at < buffer + n;) {
      const struct inotify_event* event = (const struct inotify_event*)at;
      CHECK_EQ(IN_CREATE, event->mask);
      char expected[16];
      snprintf(expected, sizeof expected, "file-%d", seen);
      CHECK_STR(expected, event->name);
      ++seen;
      at += sizeof *event + event->len;
    }
  }
  return argument;
}

int main(void) {
  CHECK(mkdtemp(directory) != NULL);
  notifier = inotify_init1(IN_CLOEXEC);
  CHECK_OK(notifier);
  CHECK_OK(inotify_add_watch(notifier, directory, IN_CREATE));
  pthread_t reader = start_thread(reads_events, NULL);
  char name[64];
  for (int i = 0; i < 10; ++i) {
    if (i % 3 == 0) settle();
    snprintf(name, sizeof name, "%s/file-%d", directory, i);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    CHECK_OK(fd);
    CHECK_OK(close(fd));
  }
  join_thread(reader);
  CHECK_OK(fcntl(notifier, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, read(notifier, name, sizeof name));
  for (int i = 0; i < 10; ++i) {
    snprintf(name, sizeof name, "%s/file-%d", directory, i);
    CHECK_OK(unlink(name));
  }
  CHECK_OK(rmdir(directory));
  pass("events");
  return 0;
}
