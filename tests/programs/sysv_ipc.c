// System V message queues and semaphores: a thread that blocks in msgrcv, msgsnd or semop does not
// stop those that will wake it.
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "check.h"

struct message {
  long type;
  char text[100];
};

static int queue, semaphores;

static void* receives(void* argument) {
  struct message m;
  long type = (long)(intptr_t)argument;
  ssize_t n = msgrcv(queue, &m, sizeof m.text, type, 0);
  CHECK_EQ(type, n);
  CHECK_EQ(type, m.type);
  return argument;
}

static void* sends_many(void* argument) {
  struct message m = {.type = 100};
  for (int i = 0; i < 500; ++i) {
    m.text[0] = (char)i;
    CHECK_OK(msgsnd(queue, &m, sizeof m.text, 0));  // the queue is full after a while
  }
  return argument;
}

static void* takes(void* argument) {
  struct sembuf take = {0, -1, 0};
  CHECK_OK(semop(semaphores, &take, 1));
  return argument;
}

int main(void) {
  be_threaded();
  queue = msgget(IPC_PRIVATE, 0600);
  semaphores = semget(IPC_PRIVATE, 1, 0600);
  CHECK_OK(queue);
  CHECK_OK(semaphores);
  pthread_t threads[5];
  for (intptr_t i = 0; i < 5; ++i) threads[i] = start_thread(receives, (void*)(i + 1));
  settle();
  for (long i = 5; i >= 1; --i) {
    struct message m = {.type = i};
    CHECK_OK(msgsnd(queue, &m, (size_t)i, 0));
  }
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("msgrcv");

  threads[0] = start_thread(sends_many, NULL);
  settle();
  for (int i = 0; i < 500; ++i) {
    struct message m;
    CHECK_EQ(sizeof m.text, msgrcv(queue, &m, sizeof m.text, 100, 0));
    CHECK_EQ((char)i, m.text[0]);
  }
  join_thread(threads[0]);
  pass("msgsnd");

  for (int i = 0; i < 5; ++i) threads[i] = start_thread(takes, NULL);
  settle();
  struct sembuf give = {0, 5, 0}, take = {0, -1, IPC_NOWAIT};
  CHECK_OK(semop(semaphores, &give, 1));
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  CHECK_ERRNO(EAGAIN, semop(semaphores, &take, 1));
  take.sem_flg = 0;
  struct timespec t = from_ns(MS(20));
  int64_t begin = mono_ns();
  CHECK_ERRNO(EAGAIN, semtimedop(semaphores, &take, 1, &t));
  CHECK_BETWEEN(MS(20), mono_ns() - begin, MS(5000));
  pass("semop");
  CHECK_OK(msgctl(queue, IPC_RMID, NULL));
  CHECK_OK(semctl(semaphores, 0, IPC_RMID));
  return 0;
}
