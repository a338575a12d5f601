// A blocking write of 8 MB into a pipe that is drained slowly arrives whole, in order, and the
// write returns the full count.
#include <sys/uio.h>

#include "check.h"

enum { kSize = 8 << 20 };

static int ends[2];
static unsigned char *sent, *received;

static void* writes(void* argument) {
  (void)argument;
  CHECK_EQ(kSize, write(ends[1], sent, kSize));
  return NULL;
}

static void* writes_vectors(void* argument) {
  (void)argument;
  struct iovec parts[4];
  size_t at = 0, sizes[4] = {1, 4097, kSize / 2, 0};
  sizes[3] = kSize - sizes[0] - sizes[1] - sizes[2];
  for (int i = 0; i < 4; ++i) {
    parts[i].iov_base = sent + at;
    parts[i].iov_len = sizes[i];
    at += sizes[i];
  }
  CHECK_EQ(kSize, writev(ends[1], parts, 4));
  return NULL;
}

static void drain(void* (*writer)(void*)) {
  memset(received, 0, kSize);
  pthread_t thread = start_thread(writer, NULL);
  size_t done = 0, step = 1;
  while (done < kSize) {
    wait_ready(ends[0], POLLIN);
    size_t want = kSize - done < step ? kSize - done : step;
    ssize_t n = read(ends[0], received + done, want);
    CHECK(n > 0 && (size_t)n <= want);
    done += (size_t)n;
    step = step * 7 % 100003;
    if (step % 16 == 0) {
      struct timespec t = {0, 50000};
      nanosleep(&t, NULL);
    }
  }
  join_thread(thread);
  CHECK(memcmp(sent, received, kSize) == 0);
  struct pollfd p = {ends[0], POLLIN, 0};
  CHECK_EQ(0, poll(&p, 1, 0));
}

int main(void) {
  sent = malloc(kSize);
  received = malloc(kSize);
  CHECK(sent && received);
  unsigned state = 12345;
  for (size_t i = 0; i < kSize; ++i)
    sent[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
  CHECK_OK(pipe(ends));

  drain(writes);
  pass("write");
  drain(writes_vectors);
  pass("writev");

  CHECK_EQ(0, fcntl(ends[1], F_GETFL) & O_NONBLOCK);
  CHECK_EQ(0, fcntl(ends[0], F_GETFL) & O_NONBLOCK);
  pass("the pipe is still blocking");
  return 0;
}
