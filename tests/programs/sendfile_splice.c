// sendfile, splice, tee and copy_file_range move data without passing it through the program, and
// block like read and write do.
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "net.h"

enum { kSize = 3 << 20 };

static int file, pair[2], ends[2];
static unsigned char *content, *received;

static void* sends_file(void* argument) {
  off_t offset = 0;
  while (offset < kSize) {
    ssize_t n = sendfile(pair[0], file, &offset, (size_t)(kSize - offset));
    CHECK(n > 0);
  }
  CHECK_EQ(kSize, offset);
  return argument;
}

static void* sends_once(void* argument) {
  off_t offset = 0;
  CHECK(sendfile(pair[0], file, &offset, kSize) > 0);
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  return argument;
}

static void* splices_file(void* argument) {
  off_t offset = 0;
  while (offset < kSize) {
    ssize_t n = splice(file, &offset, ends[1], NULL, (size_t)(kSize - offset), 0);
    CHECK(n > 0);
  }
  return argument;
}

static void* splices_on(void* argument) {
  for (size_t done = 0; done < kSize;) {
    ssize_t n = splice(ends[0], NULL, pair[0], NULL, kSize - done, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  return argument;
}

static void receive(void) {
  memset(received, 0, kSize);
  for (size_t done = 0; done < kSize;) {
    ssize_t n = recv(pair[1], received + done, kSize - done < 50000 ? kSize - done : 50000, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  CHECK(memcmp(content, received, kSize) == 0);
}

int main(void) {
  be_threaded();
  content = malloc(kSize);
  received = malloc(kSize);
  for (int i = 0; i < kSize; ++i) content[i] = (unsigned char)(i * 7 + i / 253);
  char name[] = "/tmp/tendril-test-XXXXXX";
  file = mkstemp(name);
  CHECK_OK(file);
  CHECK_OK(unlink(name));
  CHECK_EQ(kSize, write(file, content, kSize));
  tcp_pair(pair);
  CHECK_OK(pipe(ends));

  pthread_t a = start_thread(sends_file, NULL);
  settle();
  receive();
  join_thread(a);
  pass("sendfile");

  // Its number becomes another file's while the call waits.
  const int other_file = memfd_create("other", 0);
  CHECK_OK(ftruncate(other_file, kSize));
  const int kept = dup(file);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  a = start_thread(sends_once, NULL);
  settle();
  CHECK_OK(dup2(other_file, file));
  size_t got = 0;
  for (ssize_t n; (n = recv(pair[1], received + got, kSize - got, 0)) > 0;) got += (size_t)n;
  join_thread(a);
  CHECK(got > 0);
  CHECK(memcmp(content, received, got) == 0);
  CHECK_OK(dup2(kept, file));
  tcp_pair(pair);
  pass("sendfile, its file's number reused");

  pthread_t b = start_thread(splices_on, NULL);
  settle();
  a = start_thread(splices_file, NULL);
  receive();
  join_thread(a);
  join_thread(b);
  pass("splice");

  int other[2];
  CHECK_OK(pipe(other));
  CHECK_EQ(5, write(ends[1], "teeth", 5));
  CHECK_EQ(3, tee(ends[0], other[1], 3, 0));
  char text[6] = {0};
  read_all(other[0], text, 3);
  CHECK_STR("tee", text);
  read_all(ends[0], text, 5);
  CHECK_STR("teeth", text);
  CHECK_ERRNO(EAGAIN, splice(ends[0], NULL, other[1], NULL, 10, SPLICE_F_NONBLOCK));
  pass("tee");

  char copy_name[] = "/tmp/tendril-test-XXXXXX";
  int copy = mkstemp(copy_name);
  CHECK_OK(copy);
  CHECK_OK(unlink(copy_name));
  off_t from = 0;
  while (from < kSize) {
    CHECK(copy_file_range(file, &from, copy, NULL, (size_t)(kSize - from), 0) > 0);
  }
  CHECK_EQ(kSize, pread(copy, received, kSize, 0));
  CHECK(memcmp(content, received, kSize) == 0);
  pass("copy_file_range");
  return 0;
}
