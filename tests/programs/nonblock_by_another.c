// Descriptors that another process has, too, and makes non-blocking, blocking, or gives a time
// limit, while this one transfers.
#include <sys/time.h>

#include "check.h"

enum { kPipe, kUnix, kDatagram, kKinds };

static int ours[kKinds], theirs[kKinds];
static int commands[2], answers[2];  // to and from the other process
static pid_t waiting;
static char block[1 << 20];

// What the other process does to our ends.
static void obeys(void) {
  struct {
    char what;
    int fd;
  } command;
  while (read(commands[0], &command, sizeof command) == sizeof command) {
    const int flags = fcntl(command.fd, F_GETFL);
    const struct timeval limit = {0, 30000};
    switch (command.what) {
      case 'n':
        CHECK_OK(fcntl(command.fd, F_SETFL, flags | O_NONBLOCK));
        break;
      case 'b':
        CHECK_OK(fcntl(command.fd, F_SETFL, flags & ~O_NONBLOCK));
        break;
      case 'l':
        CHECK_OK(setsockopt(command.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
        break;
      default:
        _exit(1);
    }
    CHECK_EQ(1, write(answers[1], "k", 1));
  }
  _exit(0);
}

static void let_another(char what, int fd) {
  const struct {
    char what;
    int fd;
  } command = {what, fd};
  char answer;
  CHECK_EQ((long)sizeof command, write(commands[1], &command, sizeof command));
  CHECK_EQ(1, read(answers[0], &answer, 1));
}

static void* writes_later(void* fd) {
  settle();
  CHECK_EQ(1, write(*(int*)fd, "w", 1));
  return fd;
}

static void reads_as_flags_say(int kind) {
  char byte;
  for (int round = 0; round < 3; ++round) {
    CHECK_EQ(1, write(theirs[kind], "w", 1));
    CHECK_EQ(1, read(ours[kind], &byte, 1));
    let_another('n', ours[kind]);
    CHECK_ERRNO(EAGAIN, read(ours[kind], &byte, 1));
    CHECK_EQ(1, write(theirs[kind], "w", 1));
    CHECK_EQ(1, read(ours[kind], &byte, 1));
    CHECK_ERRNO(EAGAIN, read(ours[kind], &byte, 1));
    if (kind != kPipe) {
      CHECK_ERRNO(EAGAIN, recv(ours[kind], &byte, 1, 0));
      CHECK_EQ(1, write(theirs[kind], "w", 1));
      CHECK_EQ(1, recv(ours[kind], block, 9, kind == kUnix ? MSG_WAITALL : 0));
    }
    let_another('b', ours[kind]);
    const pthread_t writer = start_thread(writes_later, &theirs[kind]);
    CHECK_EQ(1, read(ours[kind], &byte, 1));
    join_thread(writer);
  }
}

static void* drains(void* fd) {
  settle();
  read_all(*(int*)fd, block, sizeof block);
  return fd;
}

// All of it while the descriptor is blocking, else what there is room for.
static void writes_as_flags_say(int from, int* to) {
  static char data[sizeof block];
  for (int round = 0; round < 2; ++round) {
    let_another('n', from);
    const ssize_t part = write(from, data, sizeof data);
    CHECK(part > 0 && part < (ssize_t)sizeof data);
    CHECK_ERRNO(EAGAIN, write(from, data, sizeof data));
    read_all(*to, block, (size_t)part);
    let_another('b', from);
    const pthread_t reader = start_thread(drains, to);
    CHECK_EQ((long)sizeof data, write(from, data, sizeof data));
    join_thread(reader);
  }
}

// One that waits already goes on as it began.
static void* reads_one(void* fd) {
  char byte;
  __atomic_store_n(&waiting, gettid(), __ATOMIC_SEQ_CST);
  CHECK_EQ(1, read(*(int*)fd, &byte, 1));
  return fd;
}

static void limits_of_another_hold(void) {
  char byte;
  CHECK_EQ(1, write(theirs[kUnix], "w", 1));
  CHECK_EQ(1, read(ours[kUnix], &byte, 1));
  let_another('l', ours[kUnix]);
  const int64_t begin = mono_ns();
  CHECK_ERRNO(EAGAIN, read(ours[kUnix], &byte, 1));
  CHECK_BETWEEN(MS(25), mono_ns() - begin, MS(kBoundMs));
}

int main(void) {
  int pair[2];
  be_threaded();
  CHECK_OK(pipe(pair));
  ours[kPipe] = pair[0], theirs[kPipe] = pair[1];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  ours[kUnix] = pair[0], theirs[kUnix] = pair[1];
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  ours[kDatagram] = pair[0], theirs[kDatagram] = pair[1];
  CHECK_OK(pipe(commands));
  CHECK_OK(pipe(answers));
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    close(commands[1]);
    obeys();
  }
  for (int kind = 0; kind < kKinds; ++kind) reads_as_flags_say(kind);
  pass("reads");
  writes_as_flags_say(theirs[kPipe], &ours[kPipe]);
  writes_as_flags_say(ours[kUnix], &theirs[kUnix]);
  pass("writes");
  const pthread_t reader = start_thread(reads_one, &ours[kUnix]);
  settle_blocked(&waiting);
  let_another('n', ours[kUnix]);
  settle();
  CHECK_EQ(1, write(theirs[kUnix], "w", 1));
  join_thread(reader);
  let_another('b', ours[kUnix]);
  pass("a wait goes on as it began");
  limits_of_another_hold();
  pass("a limit");
  CHECK_OK(close(commands[1]));
  CHECK_EXITED(0, child);
  return 0;
}
