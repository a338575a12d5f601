// Compiled with _FORTIFY_SOURCE: libc's checked forms (__read_chk, __recv_chk, __poll_chk, ...)
// block and wake like the plain ones.
#include "net.h"

static int pair[2], ends[2];
static volatile size_t many = 8;  // not known when this is compiled, so that the checks stay

static void* writes_late(void* argument) {
  settle();
  CHECK_EQ(8, write(ends[1], "01234567", 8));
  CHECK_EQ(8, send(pair[1], "abcdefgh", 8, 0));
  return argument;
}

static void* reads(void* argument) {
  char buffer[16] = {0};
  CHECK_EQ(8, read(ends[0], buffer, many));
  CHECK_STR("01234567", buffer);
  CHECK_EQ(8, recv(pair[0], buffer, many, 0));
  CHECK_STR("abcdefgh", buffer);
  return argument;
}

static void* polls(void* argument) {
  struct pollfd fds[4] = {{-1, 0, 0}, {ends[0], POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}};
  CHECK_EQ(1, poll(fds, many / 2, kBoundMs));
  CHECK_EQ(POLLIN, fds[1].revents);
  struct timespec limit = from_ns(MS(kBoundMs));
  CHECK_EQ(1, ppoll(fds, many / 2, &limit, NULL));
  char buffer[16] = {0};
  CHECK_EQ(8, read(ends[0], buffer, many));
  CHECK_EQ(8, recvfrom(pair[0], buffer, many, 0, NULL, NULL));
  CHECK_STR("abcdefgh", buffer);
  return argument;
}

static void* uses_stdio(void* argument) {
  FILE* in = fdopen(dup(ends[0]), "r");
  CHECK(in != NULL);
  char buffer[16] = {0};
  CHECK_EQ(4, fread(buffer, 1, many / 2, in));
  CHECK_STR("0123", buffer);
  CHECK_EQ(4, fread(buffer, 1, many / 2, in));
  CHECK_EQ(8, recv(pair[0], buffer, many, MSG_WAITALL));
  CHECK_EQ(0, fclose(in));
  return argument;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  void* (*bodies[])(void*) = {reads, polls, uses_stdio};
  const char* names[] = {"read and recv", "poll, ppoll and recvfrom", "fread"};
  for (int i = 0; i < 3; ++i) {
    pthread_t a = start_thread(bodies[i], NULL), b = start_thread(writes_late, NULL);
    join_thread(a);
    join_thread(b);
    pass(names[i]);
  }

  char name[] = "/tmp/tendril-test-XXXXXX", buffer[16] = {0};
  int file = mkstemp(name);
  CHECK_OK(file);
  CHECK_OK(unlink(name));
  CHECK_EQ(8, pwrite(file, "positive", many, 0));
  CHECK_EQ(8, pread(file, buffer, many, 0));
  CHECK_STR("positive", buffer);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  CHECK(FD_ISSET(ends[0], &set));
  pass("pread and FD_SET");
  return 0;
}
