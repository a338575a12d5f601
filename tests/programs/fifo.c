// Opening a FIFO waits for the other end, in either order, while other threads go on.
#include <sys/stat.h>

#include "check.h"

static char name[64];
static int ticks, stop;

static void* ticks_on(void* argument) {
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
    __atomic_add_fetch(&ticks, 1, __ATOMIC_SEQ_CST);
    usleep(500);
  }
  return argument;
}

static void* opens_to_read(void* argument) {
  int fd = open(name, O_RDONLY);
  CHECK_OK(fd);
  char text[6] = {0};
  read_all(fd, text, 5);
  CHECK_STR("hello", text);
  char c;
  CHECK_EQ(0, read(fd, &c, 1));
  CHECK_OK(close(fd));
  return argument;
}

static void* opens_to_write(void* argument) {
  int fd = open(name, O_WRONLY);
  CHECK_OK(fd);
  CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK_EQ(5, write(fd, "hello", 5));
  CHECK_OK(close(fd));
  return argument;
}

static void meet(void* (*first)(void*), void* (*second)(void*)) {
  pthread_t a = start_thread(first, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(a, NULL));
  int before = __atomic_load_n(&ticks, __ATOMIC_SEQ_CST);
  for (int i = 0; __atomic_load_n(&ticks, __ATOMIC_SEQ_CST) < before + 5; ++i) {
    CHECK(i < kBoundMs);
    usleep(1000);
  }
  pthread_t b = start_thread(second, NULL);
  join_thread(a);
  join_thread(b);
}

int main(void) {
  snprintf(name, sizeof name, "/tmp/tendril-test-fifo-%d", (int)getpid());
  CHECK_OK(mkfifo(name, 0600));
  pthread_t ticker = start_thread(ticks_on, NULL);
  meet(opens_to_read, opens_to_write);
  pass("the reader first");
  meet(opens_to_write, opens_to_read);
  pass("the writer first");

  CHECK_ERRNO(ENXIO, open(name, O_WRONLY | O_NONBLOCK));
  int fd = open(name, O_RDONLY | O_NONBLOCK);
  CHECK_OK(fd);
  char c;
  CHECK_EQ(0, read(fd, &c, 1));
  int writer = open(name, O_WRONLY);
  CHECK_OK(writer);
  CHECK_ERRNO(EAGAIN, read(fd, &c, 1));
  CHECK_OK(close(writer));
  CHECK_OK(close(fd));
  pass("without blocking");

  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  join_thread(ticker);
  CHECK_OK(unlink(name));
  return 0;
}
