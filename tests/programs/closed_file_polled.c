// While poll or select waits: a number that is taken away ends no wait, its file's next event does,
// or that of another file, or the end of the time. What then counts is what the numbers stand for:
// one that is closed is no descriptor (poll) or always ready (select), and one that has another
// file is what that is.
#include <sys/select.h>

#include "taken_away.h"

// Looks at `fds`, whose first number is taken away meanwhile.
struct Looker {
  struct pollfd fds[8];  // more than a few
  nfds_t count;
  int timeout, by_select, result, is_over;
};
static void* looks(void* argument) {
  struct Looker* l = argument;
  about_to_wait();
  if (!l->by_select) {
    l->result = poll(l->fds, l->count, l->timeout);
    __atomic_store_n(&l->is_over, 1, __ATOMIC_SEQ_CST);
    return NULL;
  }
  fd_set readable;
  FD_ZERO(&readable);
  int most = 0;
  for (nfds_t i = 0; i < l->count; ++i) {
    FD_SET(l->fds[i].fd, &readable);
    most = l->fds[i].fd > most ? l->fds[i].fd : most;
  }
  struct timeval limit = {l->timeout / 1000, l->timeout % 1000 * 1000};
  l->result = select(most + 1, &readable, NULL, NULL, &limit);
  __atomic_store_n(&l->is_over, 1, __ATOMIC_SEQ_CST);
  for (nfds_t i = 0; i < l->count; ++i) {
    l->fds[i].revents = FD_ISSET(l->fds[i].fd, &readable) ? POLLIN : 0;
  }
  return NULL;
}

enum What { kFirst, kLast, kNone, kWhats };
static void look(int by_select, enum How how, enum What what, nfds_t count) {
  struct Looker l = {
      .count = count, .by_select = by_select, .timeout = what == kNone ? 400 : kBoundMs};
  int pairs[8][2];
  for (nfds_t i = 0; i < count; ++i) {
    CHECK_OK(pipe(pairs[i]));
    l.fds[i] = (struct pollfd){.fd = pairs[i][0], .events = POLLIN, .revents = -1};
  }
  const int64_t begin = mono_ns();
  pthread_t thread = start_thread(looks, &l);
  settle_blocked(&waiter);
  take_away(pairs[0][0], how);
  const int in_time = mono_ns() - begin < MS(l.timeout);
  settle();
  if (what == kNone) {
    join_thread(thread);
    CHECK(mono_ns() - begin >= MS(l.timeout));
  } else {
    CHECK(!__atomic_load_n(&l.is_over, __ATOMIC_SEQ_CST));
    CHECK_EQ(1, write(pairs[what == kLast ? count - 1 : 0][1], "x", 1));
    join_thread(thread);
  }
  const short closed = by_select ? POLLIN : POLLNVAL;
  const short replaced = by_select ? POLLIN : POLLIN | POLLHUP;
  for (nfds_t i = 0; i < count && in_time; ++i) {
    const short rest = what == kLast && i == count - 1 ? POLLIN : 0;
    CHECK_EQ(pairs[i][0], l.fds[i].fd);
    CHECK_EQ(i == 0 ? (how == kReplace ? replaced : closed) : rest, l.fds[i].revents);
    CHECK_EQ(what == kLast ? 2 : 1, l.result);
  }
  CHECK(wait_ready(pairs[0][1], POLLOUT) & POLLERR);  // nobody holds it any more
  give_back(pairs[0][0], how);
  for (nfds_t i = 0; i < count; ++i) {
    if (i > 0) CHECK_OK(close(pairs[i][0]));
    CHECK_OK(close(pairs[i][1]));
  }
}

static void lookers(int by_select) {
  for (enum What what = kFirst; what < kWhats; ++what) {
    const nfds_t fewest = what == kLast ? 2 : 1;
    look(by_select, kClose, what, fewest);
    look(by_select, kReplace, what, fewest + 6);  // more than are looked at closely
  }
}

int main(void) {
  alarm(kBoundMs / 1000 + 20);
  be_threaded();
  lookers(0);
  pass("poll");
  lookers(1);
  pass("select");
  return 0;
}
