// POSIX asynchronous input and output, for which libc makes threads of its own.
#include <aio.h>

#include "check.h"

enum { kRequests = 10, kSize = 1000 };

static sem_t notified;

static void on_completion(union sigval value) {
  CHECK_EQ(5, value.sival_int);
  CHECK_OK(sem_post(&notified));
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&notified, 0, 0));
  FILE* file = tmpfile();
  CHECK(file != NULL);
  int fd = fileno(file);
  static char buffers[kRequests][kSize];
  struct aiocb requests[kRequests];
  memset(requests, 0, sizeof requests);
  for (int i = 0; i < kRequests; ++i) {
    memset(buffers[i], 'a' + i, kSize);
    requests[i].aio_fildes = fd;
    requests[i].aio_buf = buffers[i];
    requests[i].aio_nbytes = kSize;
    requests[i].aio_offset = (off_t)i * kSize;
    CHECK_OK(aio_write(&requests[i]));
  }
  for (int i = 0; i < kRequests; ++i) {
    const struct aiocb* one[] = {&requests[i]};
    while (aio_error(&requests[i]) == EINPROGRESS) CHECK_OK(aio_suspend(one, 1, NULL));
    CHECK_EQ(0, aio_error(&requests[i]));
    CHECK_EQ(kSize, aio_return(&requests[i]));
  }
  pass("written");

  struct aiocb* list[kRequests];
  for (int i = 0; i < kRequests; ++i) {
    memset(buffers[i], 0, kSize);
    requests[i].aio_lio_opcode = LIO_READ;
    list[i] = &requests[i];
  }
  CHECK_OK(lio_listio(LIO_WAIT, list, kRequests, NULL));
  for (int i = 0; i < kRequests; ++i) {
    CHECK_EQ(kSize, aio_return(&requests[i]));
    for (int k = 0; k < kSize; ++k) CHECK_EQ('a' + i, buffers[i][k]);
  }
  pass("read as a list");

  int ends[2];
  char byte = 0;
  CHECK_OK(pipe(ends));
  struct aiocb one = {.aio_fildes = ends[0], .aio_buf = &byte, .aio_nbytes = 1};
  one.aio_sigevent.sigev_notify = SIGEV_THREAD;
  one.aio_sigevent.sigev_notify_function = on_completion;
  one.aio_sigevent.sigev_value.sival_int = 5;
  CHECK_OK(aio_read(&one));
  settle();
  CHECK_EQ(EINPROGRESS, aio_error(&one));
  CHECK_EQ(1, write(ends[1], "z", 1));
  sem_take(&notified);
  CHECK_EQ(0, aio_error(&one));
  CHECK_EQ(1, aio_return(&one));
  CHECK_EQ('z', byte);
  pass("a read that blocks, and its notification");
  return 0;
}
