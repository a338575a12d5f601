// What a connection has from the socket that it was accepted from, and what it has not.
#include <sys/time.h>
#include <sys/un.h>

#include "net.h"

static void set_limit(int fd, long us) {
  const struct timeval limit = {us / 1000000, us % 1000000};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
}

static int has_limit(int fd) {
  struct timeval limit;
  socklen_t size = sizeof limit;
  CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size));
  return limit.tv_sec != 0 || limit.tv_usec != 0;
}

static void* sends_late(void* argument) {
  settle();
  CHECK_EQ(4, write(*(int*)argument, "late", 4));
  return NULL;
}

// A read of it waits for as long as it takes, or for as long as its limit lets it.
static void check_reads_wait(int fd, int peer) {
  char buffer[16];
  pthread_t thread = start_thread(sends_late, &peer);
  CHECK_EQ(4, read(fd, buffer, sizeof buffer));
  join_thread(thread);
}

static void check_reads_are_limited(int fd) {
  char buffer[16];
  CHECK_ERRNO(EAGAIN, read(fd, buffer, sizeof buffer));
}

struct connection {
  int client, accepted;
};

static void close_both(struct connection c) {
  CHECK_OK(close(c.client));
  CHECK_OK(close(c.accepted));
}

static struct connection connects(int listener, const struct sockaddr_in* address, int flags) {
  struct connection c = {tcp_connect(address), -1};
  c.accepted = accept4(listener, NULL, NULL, flags);
  CHECK_OK(c.accepted);
  return c;
}

static void waiting_or_not(void) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 8);
  for (int i = 0; i < 3; ++i) {
    struct connection c = connects(listener, &address, 0);
    check_reads_wait(c.accepted, c.client);
    close_both(c);
    c = connects(listener, &address, SOCK_NONBLOCK);
    CHECK(fcntl(c.accepted, F_GETFL) & O_NONBLOCK);
    check_reads_are_limited(c.accepted);
    CHECK_OK(fcntl(c.accepted, F_SETFL, 0));
    check_reads_wait(c.accepted, c.client);
    close_both(c);
  }
  // The listener's own mode is its own.
  CHECK_OK(fcntl(listener, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  struct connection c = connects(listener, &address, 0);
  CHECK((fcntl(c.accepted, F_GETFL) & O_NONBLOCK) == 0);
  check_reads_wait(c.accepted, c.client);
  close_both(c);
  CHECK_OK(close(listener));
}

static void* accepts_one(void* listener) {
  int fd = accept(*(int*)listener, NULL, NULL);
  CHECK_OK(fd);
  return (void*)(intptr_t)fd;
}

static void limits_of_tcp(void) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 8);
  struct connection before = connects(listener, &address, 0);

  set_limit(listener, 30000);
  struct connection with = connects(listener, &address, 0);
  CHECK(has_limit(with.accepted));
  check_reads_are_limited(with.accepted);

  // It has what the listener had when it was connected, not when it was accepted.
  struct connection queued = {tcp_connect(&address), -1};
  set_limit(listener, 0);
  queued.accepted = accept(listener, NULL, NULL);
  CHECK(has_limit(queued.accepted));
  check_reads_are_limited(queued.accepted);

  struct connection after = connects(listener, &address, 0);
  CHECK(!has_limit(after.accepted));
  check_reads_wait(after.accepted, after.client);
  check_reads_wait(before.accepted, before.client);

  // By another number of the same socket.
  int copy = dup(listener);
  set_limit(copy, 30000);
  struct connection by_copy = {tcp_connect(&address), -1};
  set_limit(copy, 0);
  CHECK_OK(close(copy));
  by_copy.accepted = accept(listener, NULL, NULL);
  CHECK(has_limit(by_copy.accepted));
  check_reads_are_limited(by_copy.accepted);

  // While a thread waits for a connection.
  struct sockaddr_in other;
  int late = tcp_listener(&other, 8);
  pthread_t accepting = start_thread(accepts_one, &late);
  settle();
  set_limit(late, 30000);
  struct connection while_waiting = {tcp_connect(&other), -1};
  while_waiting.accepted = (int)(intptr_t)join_thread(accepting);
  CHECK(has_limit(while_waiting.accepted));
  check_reads_are_limited(while_waiting.accepted);
  close_both(while_waiting);
  CHECK_OK(close(late));

  close_both(before);
  close_both(with);
  close_both(queued);
  close_both(after);
  close_both(by_copy);
  CHECK_OK(close(listener));
}

static void limits_of_unix_sockets(int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, type, 0);
  CHECK_OK(listener);
  CHECK_OK(bind(listener, (struct sockaddr*)&address, sizeof(sa_family_t)));  // any free name
  socklen_t size = sizeof address;
  CHECK_OK(getsockname(listener, (struct sockaddr*)&address, &size));
  CHECK_OK(listen(listener, 4));
  for (int i = 0; i < 2; ++i) {
    struct connection c = {socket(AF_UNIX, type, 0), -1};
    CHECK_OK(connect(c.client, (struct sockaddr*)&address, size));
    c.accepted = accept(listener, NULL, NULL);
    CHECK_OK(c.accepted);
    CHECK(!has_limit(c.accepted));
    check_reads_wait(c.accepted, c.client);
    CHECK_OK(close(c.client));
    char byte;
    CHECK_EQ(0, read(c.accepted, &byte, 1));
    CHECK_OK(close(c.accepted));
    set_limit(listener, 30000);
  }
  CHECK_OK(close(listener));
}

static void* accepts_in_vain(void* argument) {
  CHECK_ERRNO(EINVAL, accept(*(int*)argument, NULL, NULL));
  return NULL;
}

// A socket that has listened and does no more.
static void listens_no_more(void) {
  struct sockaddr_in address, other;
  int listener = tcp_listener(&address, 8);
  struct connection c = connects(listener, &address, 0);
  close_both(c);
  pthread_t thread = start_thread(accepts_in_vain, &listener);
  settle();
  CHECK_OK(shutdown(listener, SHUT_RDWR));
  join_thread(thread);
  CHECK_ERRNO(EINVAL, accept(listener, NULL, NULL));
  int another = tcp_listener(&other, 8);
  CHECK_OK(connect(listener, (struct sockaddr*)&other, sizeof other));
  CHECK_ERRNO(EINVAL, accept(listener, NULL, NULL));
  CHECK_OK(close(listener));
  CHECK_OK(close(another));
}

// A number is closed and comes back, also while another number keeps its connection open.
static void numbers_come_back(void) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 8);
  for (int i = 0; i < 50; ++i) {
    struct connection c = connects(listener, &address, 0);
    check_reads_wait(c.accepted, c.client);
    int kept = i % 2 == 0 ? dup(c.accepted) : -1;
    CHECK_OK(close(c.accepted));
    struct connection d = connects(listener, &address, 0);
    CHECK_EQ(c.accepted, d.client);
    check_reads_wait(d.accepted, d.client);
    if (kept >= 0) {
      check_reads_wait(kept, c.client);
      CHECK_OK(dup2(kept, d.accepted));
      check_reads_wait(d.accepted, c.client);
      CHECK_OK(close(kept));
    }
    CHECK_OK(close(c.client));
    close_both(d);
  }
  CHECK_OK(close(listener));
}

static void* all(void* argument) {
  waiting_or_not();
  pass("whether they wait");
  limits_of_tcp();
  pass("time limits of TCP");
  limits_of_unix_sockets(SOCK_STREAM);
  limits_of_unix_sockets(SOCK_SEQPACKET);
  pass("time limits of Unix sockets");
  listens_no_more();
  pass("a socket that listens no more");
  numbers_come_back();
  pass("numbers that come back");
  return argument;
}

int main(void) {
  join_thread(start_thread(all, NULL));
  return 0;
}
