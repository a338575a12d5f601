// Many threads poll many descriptors at once: each sees its own wake-up and no other's.
#include "check.h"

enum { kThreads = 20, kFds = 200, kRounds = 20 };

static int pipes[kThreads][2];
static int quiet[kFds][2];
static int common[2];
static sem_t served;

static void* polls_many(void* argument) {
  int id = (int)(intptr_t)argument, place = id * 7 % kFds;
  struct pollfd fds[kFds];
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kFds; ++i) fds[i] = (struct pollfd){quiet[i][0], POLLIN, -1};
    fds[place].fd = pipes[id][0];
    CHECK_EQ(1, poll(fds, kFds, kBoundMs));
    for (int i = 0; i < kFds; ++i) CHECK_EQ(i == place ? POLLIN : 0, fds[i].revents);
    char c;
    CHECK_EQ(1, read(pipes[id][0], &c, 1));
    CHECK_EQ(round, c);
    CHECK_EQ(0, poll(fds, kFds, 0));
    CHECK_OK(sem_post(&served));
  }
  return argument;
}

static void* polls_common(void* argument) {
  struct pollfd p = {common[0], POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  return argument;
}

static void* polls_both_ways(void* argument) {
  int* pair = argument;
  struct pollfd p = {pair[0], POLLOUT, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLOUT, p.revents);
  return argument;
}

static void* polls_for_input(void* argument) {
  int* pair = argument;
  struct pollfd p = {pair[0], POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK_OK(sem_init(&served, 0, 0));
  for (int i = 0; i < kThreads; ++i) CHECK_OK(pipe(pipes[i]));
  for (int i = 0; i < kFds; ++i) CHECK_OK(pipe(quiet[i]));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(polls_many, (void*)i);
  for (char round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kThreads; ++i) CHECK_EQ(1, write(pipes[i][1], &round, 1));
    for (int i = 0; i < kThreads; ++i) sem_take(&served);
  }
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("twenty threads, 200 descriptors each");

  CHECK_OK(pipe(common));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(polls_common, NULL);
  settle();
  CHECK_EQ(1, write(common[1], "x", 1));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("all who poll one descriptor are woken");

  int pair[2];
  char block[4096] = {0};
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  while (send(pair[0], block, sizeof block, MSG_DONTWAIT) > 0) {
  }
  pthread_t writer = start_thread(polls_both_ways, pair);
  pthread_t reader = start_thread(polls_for_input, pair);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(writer, NULL));
  CHECK_EQ(1, write(pair[1], "x", 1));
  join_thread(reader);
  CHECK_EQ(EBUSY, pthread_tryjoin_np(writer, NULL));
  while (recv(pair[1], block, sizeof block, MSG_DONTWAIT) > 0) {
  }
  join_thread(writer);
  pass("one waits to read and one to write");
  return 0;
}
