// Calls that wait for the disk are not interrupted by signals, whether their handlers restart or
// not.
#include <sys/mman.h>
#include <sys/time.h>

#include "check.h"

enum { kThreads = 3, kRounds = 60, kBytes = 256 * 1024 };

static volatile sig_atomic_t handled;

static void on_alarm(int number) {
  (void)number;
  ++handled;
}

static void* body(void* argument) {
  char path[] = "/tmp/sync_signals.XXXXXX";
  int fd = mkstemp(path);
  CHECK_OK(fd);
  CHECK_OK(unlink(path));
  CHECK_OK(ftruncate(fd, kBytes));
  char* bytes = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(bytes != MAP_FAILED);
  for (int i = 0; i < kRounds; ++i) {
    memset(bytes, i, kBytes);
    CHECK_OK(msync(bytes, kBytes, MS_SYNC));
    memset(bytes, ~i, kBytes);
    CHECK_OK(sync_file_range(
        fd, 0, kBytes,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
    CHECK_OK(fdatasync(fd));
    CHECK_OK(fsync(fd));
  }
  CHECK_OK(munmap(bytes, kBytes));
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_alarm};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  // Blocked here: the threads get them all.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_OK(setitimer(ITIMER_REAL, &never, NULL));
  CHECK(handled > 0);
  pass("calls that wait for the disk end by themselves");
  return 0;
}
