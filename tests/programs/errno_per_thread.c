// errno belongs to the thread: neither another thread's failure nor a blocking call that succeeds
// changes it.
#include "check.h"

enum { kThreads = 20, kRounds = 30 };

static pthread_barrier_t barrier;

static void* fails_its_own_way(void* argument) {
  int id = (int)(intptr_t)argument;
  int ends[2];
  CHECK_OK(pipe(ends));
  for (int round = 0; round < kRounds; ++round) {
    int expected;
    switch (id % 4) {
      case 0:
        CHECK_EQ(-1, close(-1));
        expected = EBADF;
        break;
      case 1:
        CHECK_EQ(-1, open("/nonexistent/file", O_RDONLY));
        expected = ENOENT;
        break;
      case 2: {
        int value = 0;
        socklen_t size = sizeof value;
        CHECK_EQ(-1, getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &value, &size));
        expected = ENOTSOCK;
        break;
      }
      default:
        CHECK_EQ(-1, lseek(ends[0], 0, SEEK_SET));
        expected = ESPIPE;
        break;
    }
    // The barrier and the calls below block or switch; all of them succeed.
    pthread_barrier_wait(&barrier);
    CHECK_EQ(expected, errno);
    char c = 'x';
    CHECK_EQ(1, write(ends[1], &c, 1));
    CHECK_EQ(expected, errno);
    CHECK_EQ(1, read(ends[0], &c, 1));
    CHECK_EQ(expected, errno);
    struct timespec t = {0, 1000 * id};
    CHECK_EQ(0, nanosleep(&t, NULL));
    CHECK_EQ(expected, errno);
    struct pollfd p = {ends[0], POLLIN, 0};
    CHECK_EQ(0, poll(&p, 1, 1));
    CHECK_EQ(expected, errno);
    sched_yield();
    CHECK_EQ(expected, errno);
    // Functions that return their error number leave errno alone.
    struct timespec past = {1, 0};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    CHECK_RC(pthread_mutex_lock(&mutex));
    CHECK_EQ(ETIMEDOUT, pthread_cond_timedwait(&cond, &mutex, &past));
    CHECK_RC(pthread_mutex_unlock(&mutex));
    CHECK_EQ(expected, errno);
  }
  CHECK_OK(close(ends[0]));
  CHECK_OK(close(ends[1]));
  return &errno;
}

static void* sees_zero(void* argument) {
  (void)argument;
  return (void*)(intptr_t)errno;
}

int main(void) {
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  CHECK_EQ(0, errno);
  errno = EDOM;
  CHECK_EQ(0, (intptr_t)join_thread(start_thread(sees_zero, NULL)));
  CHECK_EQ(EDOM, errno);  // the first thread of a process is no exception, nor is that of a child
  pid_t child = fork();
  if (child == 0) {
    CHECK_EQ(0, (intptr_t)join_thread(start_thread(sees_zero, NULL)));
    _exit(errno == EDOM ? 0 : 1);
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK_EQ(0, status);
  pass("errno of a new thread is 0");

  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(fails_its_own_way, (void*)i);
  }
  errno = ERANGE;
  for (int i = 0; i < kThreads; ++i) {
    void* where;
    CHECK_RC(pthread_join(threads[i], &where));
    CHECK(where != (void*)&errno);
    CHECK_EQ(ERANGE, errno);
  }
  pass("errno across blocking calls");
  return 0;
}
