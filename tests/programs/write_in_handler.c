// A signal handler that writes while its thread is amid a large write: neither takes the other's
// bytes for its own, whenever the handler comes.
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "check.h"

enum { kBlock = 300000, kRounds = 60, kPeriod = 251, kMark = 16 };

static const char mark[kMark + 1] = "0123456789abcdef";
static int data[2], marks[2];

static void writes_mark(int signal) {
  const int kept = errno;
  (void)signal;
  CHECK_EQ(kMark, write(marks[1], mark, kMark));
  errno = kept;
}

static void* reads_data(void* argument) {
  static unsigned char block[20000];
  for (long at = 0; at < (long)kBlock * kRounds;) {
    const ssize_t n = read(data[0], block, sizeof block);
    CHECK(n > 0);
    for (ssize_t i = 0; i < n; ++i, ++at) CHECK_EQ(at % kBlock % kPeriod, block[i]);
  }
  return argument;
}

static void* reads_marks(void* argument) {
  char read_one[kMark];
  for (;;) {
    const ssize_t n = recv(marks[0], read_one, kMark, MSG_WAITALL);
    if (n == 0) return argument;
    CHECK_EQ(kMark, n);
    CHECK(memcmp(mark, read_one, kMark) == 0);
  }
}

int main(void) {
  static unsigned char block[kBlock];
  for (int i = 0; i < kBlock; ++i) block[i] = (unsigned char)(i % kPeriod);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, data));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, marks));
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL));
  pthread_t reader = start_thread(reads_data, NULL);
  pthread_t mark_reader = start_thread(reads_marks, NULL);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL));

  struct sigaction action = {.sa_handler = writes_mark, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  struct itimerval often = {{0, 100}, {0, 100}};
  CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
  for (int i = 0; i < kRounds; ++i) {
    for (size_t done = 0; done < kBlock;) {
      const ssize_t n = write(data[1], block + done, kBlock - done);
      CHECK(n > 0);
      done += (size_t)n;
    }
  }
  // From here on none runs: stopping the timer would not take back what another OS thread has got.
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL));
  join_thread(reader);
  CHECK_OK(shutdown(marks[1], SHUT_WR));
  join_thread(mark_reader);
  pass("a write in a handler");
  return 0;
}
