// readv and writev on pipes and sockets, and the positional forms on a file.
#include <sys/uio.h>

#include "check.h"

static int ends[2];

static void* writes_parts(void* argument) {
  settle();
  CHECK_EQ(5, write(ends[1], "hello", 5));
  return argument;
}

static void pipes(void) {
  CHECK_OK(pipe(ends));
  char a[3] = {0}, b[10] = {0};
  struct iovec in[3] = {{a, 2}, {NULL, 0}, {b, 9}};
  pthread_t thread = start_thread(writes_parts, NULL);
  CHECK_EQ(5, readv(ends[0], in, 3));
  CHECK_STR("he", a);
  CHECK_STR("llo", b);
  join_thread(thread);

  struct iovec out[3] = {{"one ", 4}, {"", 0}, {"two", 3}};
  CHECK_EQ(7, writev(ends[1], out, 3));
  char text[8] = {0};
  CHECK_EQ(7, read(ends[0], text, 7));
  CHECK_STR("one two", text);

  struct iovec many[IOV_MAX];
  char bytes[IOV_MAX], back[IOV_MAX];
  for (int i = 0; i < IOV_MAX; ++i) {
    bytes[i] = (char)i;
    many[i] = (struct iovec){&bytes[i], 1};
  }
  CHECK_EQ(IOV_MAX, writev(ends[1], many, IOV_MAX));
  for (int i = 0; i < IOV_MAX; ++i) many[i].iov_base = &back[i];
  CHECK_EQ(IOV_MAX, readv(ends[0], many, IOV_MAX));
  CHECK(memcmp(bytes, back, IOV_MAX) == 0);

  CHECK_ERRNO(EINVAL, syscall(SYS_writev, ends[1], many, (long)IOV_MAX + 1));
  CHECK_EQ(0, writev(ends[1], out, 0));
  CHECK_EQ(0, readv(ends[0], in, 0));
  out[0].iov_len = (size_t)-1;
  CHECK_ERRNO(EINVAL, writev(ends[1], out, 2));
  CHECK_ERRNO(EBADF, readv(ends[1], in, 1));
  CHECK_ERRNO(EBADF, writev(ends[0], in, 1));
}

static void* positional(void* argument) {
  int fd = *(int*)argument;
  char a[4] = {0}, b[4] = {0};
  struct iovec in[2] = {{a, 3}, {b, 3}};
  for (int i = 0; i < 200; ++i) {
    CHECK_EQ(6, pread(fd, (char[8]){0}, 6, 2));
    CHECK_EQ(6, preadv(fd, in, 2, 4));
    CHECK_STR("456", a);
    CHECK_STR("789", b);
    CHECK_EQ(6, preadv2(fd, in, 2, 1, 0));
    CHECK_STR("123", a);
    CHECK_EQ(3, pwrite(fd, "012", 3, 0));
    struct iovec out[2] = {{"34", 2}, {"5", 1}};
    CHECK_EQ(3, pwritev(fd, out, 2, 3));
    CHECK_EQ(3, pwritev2(fd, out, 2, 3, 0));
  }
  return NULL;
}

static void files(void) {
  char name[] = "/tmp/tendril-test-XXXXXX";
  int fd = mkstemp(name);
  CHECK_OK(fd);
  CHECK_OK(unlink(name));
  CHECK_EQ(10, write(fd, "0123456789", 10));
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(positional, &fd);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  CHECK_EQ(10, lseek(fd, 0, SEEK_CUR));  // none of them moved the offset
  CHECK_EQ(0, pread(fd, name, 5, 10));
  CHECK_ERRNO(ESPIPE, pread(ends[0], name, 1, 0));
  CHECK_ERRNO(ESPIPE, pwrite(ends[1], name, 1, 0));
  CHECK_ERRNO(EINVAL, pread(fd, name, 1, -1));
}

int main(void) {
  be_threaded();
  pipes();
  pass("readv and writev");
  files();
  pass("positional forms");
  return 0;
}
