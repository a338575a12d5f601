// A pseudo terminal: a thread that reads lines from it blocks until a line is there, while others
// go on; what is typed arrives whole; and where a read is to give what there is, it does.
#include <sys/ioctl.h>
#include <termios.h>

#include "check.h"

static int master, slave, lines;

static void* reads_lines(void* argument) {
  char line[64];
  for (int i = 0; i < 20; ++i) {
    char expected[64];
    ssize_t n = read(slave, line, sizeof line);
    CHECK_EQ(snprintf(expected, sizeof expected, "line %d\n", i), n);
    CHECK(memcmp(expected, line, (size_t)n) == 0);
    __atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
  }
  CHECK_EQ(0, read(slave, line, sizeof line));  // the end-of-file character
  return argument;
}

static void* writes_much(void* argument) {
  static char block[100000];
  memset(block, 'w', sizeof block);
  CHECK_EQ(sizeof block, write(slave, block, sizeof block));
  return argument;
}

static void* types_one(void* argument) {
  settle();
  CHECK_EQ(1, write(master, "x", 1));
  return argument;
}

static void* writes_one(void* argument) {
  settle();
  CHECK_EQ(1, write(slave, "y", 1));
  return argument;
}

static void* reads_until_hung_up(void* argument) {
  char c;
  CHECK_ERRNO(EIO, read(slave, &c, 1));
  CHECK_EQ(0, read(slave, &c, 1));
  return argument;
}

static void open_both(void) {
  master = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK_OK(master);
  CHECK_OK(grantpt(master));
  CHECK_OK(unlockpt(master));
  char name[64];
  CHECK_RC(ptsname_r(master, name, sizeof name));
  slave = open(name, O_RDWR | O_NOCTTY);
  CHECK_OK(slave);
}

int main(void) {
  be_threaded();
  open_both();
  CHECK(isatty(slave));
  struct termios mode;
  CHECK_OK(tcgetattr(slave, &mode));
  mode.c_lflag &= ~(tcflag_t)ECHO;
  mode.c_oflag &= ~(tcflag_t)OPOST;
  CHECK_OK(tcsetattr(slave, TCSANOW, &mode));

  pthread_t reader = start_thread(reads_lines, NULL);
  for (int i = 0; i < 20; ++i) {
    char line[64];
    int n = snprintf(line, sizeof line, "line %d\n", i);
    CHECK_EQ(2, write(master, line, 2));
    if (i % 5 == 0) settle();
    CHECK_EQ(i, __atomic_load_n(&lines, __ATOMIC_SEQ_CST));  // half a line wakes nobody
    CHECK_EQ(n - 2, write(master, line + 2, (size_t)n - 2));
    for (int64_t begin = mono_ns(); __atomic_load_n(&lines, __ATOMIC_SEQ_CST) != i + 1;) {
      CHECK(mono_ns() - begin < MS(kBoundMs));
      usleep(200);
    }
  }
  CHECK_EQ(1, write(master, "\4", 1));
  join_thread(reader);
  pass("lines");

  pthread_t writer = start_thread(writes_much, NULL);
  settle();
  static char received[100000];
  read_all(master, received, sizeof received);
  for (size_t i = 0; i < sizeof received; ++i) CHECK_EQ('w', received[i]);
  join_thread(writer);
  CHECK_EQ(0, fcntl(slave, F_GETFL) & O_NONBLOCK);
  pass("a large write");

  // Without lines, a read need not wait for anything: VMIN 0.
  char c;
  mode.c_lflag &= ~(tcflag_t)ICANON;
  mode.c_cc[VMIN] = 0;
  mode.c_cc[VTIME] = 0;
  CHECK_OK(tcsetattr(slave, TCSANOW, &mode));
  CHECK_EQ(0, read(slave, &c, 1));
  CHECK_EQ(2, write(master, "ab", 2));
  CHECK_EQ(1, read(slave, &c, 1));
  CHECK_EQ('a', c);
  CHECK_EQ(1, read(slave, &c, 1));
  CHECK_EQ(0, read(slave, &c, 1));
  mode.c_cc[VTIME] = 2;  // tenths of a second
  CHECK_OK(tcsetattr(slave, TCSANOW, &mode));
  int64_t begin = mono_ns();
  CHECK_EQ(0, read(slave, &c, 1));
  CHECK(mono_ns() - begin >= MS(190));
  pthread_t typist = start_thread(types_one, NULL);
  mode.c_cc[VTIME] = 255;
  CHECK_OK(tcsetattr(slave, TCSANOW, &mode));
  begin = mono_ns();
  CHECK_EQ(1, read(slave, &c, 1));
  CHECK_EQ('x', c);
  CHECK(mono_ns() - begin < MS(20000));
  join_thread(typist);
  // The other end waits all the same.
  typist = start_thread(writes_one, NULL);
  CHECK_EQ(1, read(master, &c, 1));
  CHECK_EQ('y', c);
  join_thread(typist);
  pass("reads of what there is");
  CHECK_OK(close(slave));
  CHECK_ERRNO(EIO, read(master, &c, 1));
  CHECK_OK(close(master));
  open_both();
  reader = start_thread(reads_until_hung_up, NULL);
  settle();
  CHECK_OK(close(master));
  join_thread(reader);
  pass("hung up");
  return 0;
}
