// Locks on files: flock and open-file-description locks between threads, record locks between
// processes; who waits does not stop the others and can be interrupted.
#include <sys/file.h>

#include "check.h"

static char name[] = "/tmp/tendril-test-XXXXXX";
static int held, order;
static volatile sig_atomic_t handled;
static sem_t tried;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* waits_for_flock(void* argument) {
  int fd = open(name, O_RDWR);
  CHECK_OK(fd);
  CHECK_ERRNO(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
  CHECK_OK(sem_post(&tried));
  CHECK_OK(flock(fd, LOCK_EX));
  CHECK_EQ(1, __atomic_load_n(&order, __ATOMIC_SEQ_CST));
  CHECK_OK(close(fd));
  return argument;
}

static void* waits_for_ofd_lock(void* argument) {
  int fd = open(name, O_RDWR);
  CHECK_OK(fd);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
  CHECK_ERRNO(EAGAIN, fcntl(fd, F_OFD_SETLK, &lock));
  CHECK_OK(sem_post(&tried));
  CHECK_OK(fcntl(fd, F_OFD_SETLKW, &lock));
  CHECK_EQ(1, __atomic_load_n(&order, __ATOMIC_SEQ_CST));
  CHECK_OK(close(fd));
  return argument;
}

static void* is_interrupted(void* argument) {
  int fd = open(name, O_RDWR);
  CHECK_OK(fd);
  CHECK_ERRNO(EINTR, flock(fd, LOCK_EX));
  CHECK_OK(close(fd));
  return argument;
}

static void* waits_for_second_lock(void* argument) {
  (void)argument;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
  return (void*)(intptr_t)(fcntl(held, F_SETLKW, &lock) == 0 ? 0 : errno);
}

int main(void) {
  CHECK_OK(sem_init(&tried, 0, 0));
  held = mkstemp(name);
  CHECK_OK(held);
  CHECK_OK(flock(held, LOCK_EX));
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(waits_for_flock, NULL);
  for (int i = 0; i < 8; ++i) sem_take(&tried);
  settle();
  order = 1;
  CHECK_OK(flock(held, LOCK_UN));
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  pass("flock");

  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
  CHECK_OK(fcntl(held, F_OFD_SETLK, &lock));
  order = 0;
  pthread_t thread = start_thread(waits_for_ofd_lock, NULL);
  sem_take(&tried);
  settle();
  order = 1;
  lock.l_type = F_UNLCK;
  CHECK_OK(fcntl(held, F_OFD_SETLK, &lock));
  join_thread(thread);
  pass("F_OFD_SETLKW");

  int report[2], release[2];
  CHECK_OK(pipe(report));
  CHECK_OK(pipe(release));
  pid_t child = fork();
  CHECK_OK(child);
  lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
  char c;
  if (child == 0) {
    CHECK_OK(fcntl(held, F_SETLK, &lock));
    CHECK_EQ(1, write(report[1], "l", 1));
    read_all(release[0], &c, 1);
    _exit(0);  // drops the lock
  }
  read_all(report[0], &c, 1);
  struct flock probe = lock;
  CHECK_OK(fcntl(held, F_GETLK, &probe));
  CHECK_EQ(child, probe.l_pid);
  CHECK_ERRNO(EAGAIN, fcntl(held, F_SETLK, &lock));
  CHECK_EQ(1, write(release[1], "r", 1));
  CHECK_OK(fcntl(held, F_SETLKW, &lock));
  CHECK_EXITED(0, child);
  pass("F_SETLKW between processes");

  // Each waits for what the other has: the one that would close the circle is told.
  CHECK_OK(fcntl(held, F_SETLK, &lock));
  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    struct flock second = lock;
    second.l_start = 1;
    CHECK_OK(fcntl(held, F_SETLK, &second));
    CHECK_EQ(1, write(report[1], "l", 1));
    read_all(release[0], &c, 1);
    // The parent's thread waits, or soon will: until then this waits for the parent, or is told.
    const int rc = fcntl(held, F_SETLKW, &lock);
    _exit(rc == -1 && errno == EDEADLK ? 20 : rc == 0 ? 21 : 22);
  }
  read_all(report[0], &c, 1);
  pthread_t closing = start_thread(waits_for_second_lock, NULL);
  settle();
  CHECK_EQ(1, write(release[1], "r", 1));
  const int told = (int)(intptr_t)join_thread(closing);
  lock.l_type = F_UNLCK;
  lock.l_len = 2;
  CHECK_OK(fcntl(held, F_SETLK, &lock));
  CHECK_EXITED(told == EDEADLK ? 21 : 20, child);
  CHECK(told == EDEADLK || told == 0);
  pass("EDEADLK");

  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(flock(held, LOCK_EX));
  thread = start_thread(is_interrupted, NULL);
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    usleep(2000);
  }
  CHECK_OK(unlink(name));
  pass("EINTR");
  return 0;
}
