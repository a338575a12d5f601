// TCP Fast Open: a blocking send that connects (MSG_FASTOPEN), and a blocking send on a socket
// whose connect was put off until then (TCP_FASTOPEN_CONNECT), wait for the connection like
// connect.
#include <sys/uio.h>

#include "net.h"

enum { kBig = 300000 };

// With data in the first packet, whether or not the other side knows the cookie; or without.
enum { kWithData, kWithoutData, kWays };

static struct sockaddr_in closed_port, open_port;
static int listener;

// A listener with one connection in its queue, which is all that it takes.
struct full {
  struct sockaddr_in address;
  int listener, filler;
  int is_put_off, way;  // how it is connected to
};
static struct full full;

static void fill(struct full* full) {
  full->listener = tcp_listener(&full->address, 0);
  full->filler = tcp_connect(&full->address);
}

static void empty(struct full* full) {
  CHECK_OK(close(full->filler));
  CHECK_OK(close(full->listener));
}

static void set_option(int fd, int option) {
  const int one = 1;
  CHECK_OK(setsockopt(fd, IPPROTO_TCP, option, &one, sizeof one));
}

static int new_socket(int way) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(fd);
  if (way == kWithData) set_option(fd, TCP_FASTOPEN_NO_COOKIE);
  return fd;
}

static int put_off(const struct sockaddr_in* address) {
  int fd = new_socket(kWithData);
  set_option(fd, TCP_FASTOPEN_CONNECT);
  CHECK_OK(connect(fd, (const struct sockaddr*)address, sizeof *address));
  return fd;
}

static long send_to(int fd, const void* data, size_t size, const struct sockaddr_in* address) {
  return sendto(fd, data, size, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr*)address,
                sizeof *address);
}

static int is_supported(void) {
  int fd = new_socket(kWithoutData);
  const long sent = send_to(fd, "x", 1, &closed_port);
  const int error = errno;
  CHECK_EQ(-1, sent);
  CHECK_OK(close(fd));
  return error != EOPNOTSUPP;
}

// The connection that `fd` has made, or is about to make, brings `text`.
static void check_received(int fd, const char* text) {
  struct sockaddr_in own;
  socklen_t size = sizeof own;
  CHECK_OK(getsockname(fd, (struct sockaddr*)&own, &size));
  struct sockaddr_in peer;
  size = sizeof peer;
  int accepted = accept(listener, (struct sockaddr*)&peer, &size);
  CHECK_OK(accepted);
  CHECK_EQ(own.sin_port, peer.sin_port);
  char came[64] = {0};
  read_all(accepted, came, strlen(text));
  CHECK_STR(text, came);
  CHECK_OK(close(accepted));
}

static void check_connected(int fd) {
  CHECK_ERRNO(EISCONN, connect(fd, (struct sockaddr*)&open_port, sizeof open_port));
  struct sockaddr_in peer;
  socklen_t size = sizeof peer;
  CHECK_OK(getpeername(fd, (struct sockaddr*)&peer, &size));  // ENOTCONN while it is being made
  CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void connecting_sends(int way) {
  int fd = new_socket(way);
  CHECK_EQ(5, send_to(fd, "hello", 5, &open_port));
  check_connected(fd);
  CHECK_ERRNO(EISCONN, send_to(fd, "x", 1, &open_port));
  CHECK_EQ(6, send(fd, " again", 6, 0));
  check_received(fd, "hello again");
  CHECK_OK(close(fd));

  fd = new_socket(way);
  struct iovec parts[2] = {{(char*)"two ", 4}, {(char*)"parts", 5}};
  struct msghdr message = {
      .msg_name = &open_port, .msg_namelen = sizeof open_port, .msg_iov = parts, .msg_iovlen = 2};
  CHECK_EQ(9, sendmsg(fd, &message, MSG_FASTOPEN));
  check_connected(fd);
  check_received(fd, "two parts");
  CHECK_OK(close(fd));

  fd = new_socket(way);
  struct mmsghdr one = {.msg_hdr = message};
  CHECK_EQ(1, sendmmsg(fd, &one, 1, MSG_FASTOPEN));
  CHECK_EQ(9, one.msg_len);
  check_connected(fd);
  check_received(fd, "two parts");
  CHECK_OK(close(fd));

  fd = new_socket(way);
  CHECK_EQ(0, send_to(fd, "", 0, &open_port));
  check_connected(fd);
  check_received(fd, "");
  CHECK_OK(close(fd));
}

static void* reads_big(void* argument) {
  int accepted = accept(listener, NULL, NULL);
  CHECK_OK(accepted);
  unsigned char* came = malloc(kBig);
  read_all(accepted, came, kBig);
  for (int i = 0; i < kBig; ++i) CHECK_EQ(i * 7 & 255, came[i]);
  char c;
  CHECK_EQ(0, read(accepted, &c, 1));
  free(came);
  CHECK_OK(close(accepted));
  return argument;
}

static void big_send(int way) {
  unsigned char* data = malloc(kBig);
  for (int i = 0; i < kBig; ++i) data[i] = (unsigned char)(i * 7);
  pthread_t reader = start_thread(reads_big, NULL);
  int fd = new_socket(way);
  CHECK_EQ(kBig, send_to(fd, data, kBig, &open_port));
  CHECK_OK(close(fd));
  join_thread(reader);

  reader = start_thread(reads_big, NULL);
  fd = new_socket(way);
  struct iovec parts[2] = {{data, 10}, {data + 10, kBig - 10}};
  struct msghdr message = {
      .msg_name = &open_port, .msg_namelen = sizeof open_port, .msg_iov = parts, .msg_iovlen = 2};
  CHECK_EQ(kBig, sendmsg(fd, &message, MSG_FASTOPEN));
  CHECK_OK(close(fd));
  join_thread(reader);
  free(data);
}

static void refused(int way) {
  int fd = new_socket(way);
  CHECK_ERRNO(ECONNREFUSED, send_to(fd, "hello", 5, &closed_port));
  int error = -1;
  socklen_t size = sizeof error;
  CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
  CHECK_EQ(0, error);
  CHECK_ERRNO(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
  CHECK_EQ(5, send_to(fd, "hello", 5, &open_port));  // it may try again
  check_received(fd, "hello");
  CHECK_OK(close(fd));
}

static void refused_when_put_off(void) {
  int fd = put_off(&closed_port);
  CHECK_ERRNO(ECONNREFUSED, write(fd, "hello", 5));
  CHECK_ERRNO(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
  CHECK_OK(connect(fd, (struct sockaddr*)&open_port, sizeof open_port));
  CHECK_EQ(5, write(fd, "hello", 5));
  check_received(fd, "hello");
  CHECK_OK(close(fd));
}

static void sends_when_put_off(void) {
  int fd = put_off(&open_port);
  CHECK_EQ(5, write(fd, "hello", 5));
  check_connected(fd);
  check_received(fd, "hello");
  CHECK_OK(close(fd));

  fd = put_off(&open_port);
  CHECK_EQ(5, send(fd, "hello", 5, 0));
  check_connected(fd);
  check_received(fd, "hello");
  CHECK_OK(close(fd));

  struct iovec parts[2] = {{(char*)"two ", 4}, {(char*)"parts", 5}};
  fd = put_off(&open_port);
  CHECK_EQ(9, writev(fd, parts, 2));
  check_connected(fd);
  check_received(fd, "two parts");
  CHECK_OK(close(fd));

  fd = put_off(&open_port);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  CHECK_EQ(9, sendmsg(fd, &message, 0));
  check_connected(fd);
  check_received(fd, "two parts");
  CHECK_OK(close(fd));

  // Without anything to put it off for, it connects at once.
  fd = new_socket(kWithoutData);
  set_option(fd, TCP_FASTOPEN_CONNECT);
  CHECK_OK(connect(fd, (struct sockaddr*)&open_port, sizeof open_port));
  CHECK_EQ(5, write(fd, "hello", 5));
  check_connected(fd);
  check_received(fd, "hello");
  CHECK_OK(close(fd));
}

static void without_waiting(void) {
  int fd = new_socket(kWithoutData);
  CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EINPROGRESS, send_to(fd, "hello", 5, &full.address));
  CHECK_ERRNO(EALREADY, send_to(fd, "hello", 5, &full.address));
  CHECK_OK(close(fd));
  fd = new_socket(kWithData);
  CHECK_EQ(5, sendto(fd, "hello", 5, MSG_FASTOPEN | MSG_DONTWAIT, (struct sockaddr*)&full.address,
                     sizeof full.address));
  CHECK_OK(close(fd));
}

// Nobody answers: the other side's queue is full.
static void time_limit(void) {
  const struct timeval limit = {0, 50000};
  int fd = new_socket(kWithoutData);
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  int64_t begin = mono_ns();
  CHECK_ERRNO(EINPROGRESS, send_to(fd, "hello", 5, &full.address));
  CHECK_BETWEEN(MS(49), mono_ns() - begin, MS(20000));
  CHECK_ERRNO(EALREADY, send_to(fd, "hello", 5, &full.address));
  CHECK_OK(close(fd));

  fd = new_socket(kWithData);
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  begin = mono_ns();
  CHECK_EQ(5, send_to(fd, "hello", 5, &full.address));
  CHECK_BETWEEN(MS(49), mono_ns() - begin, MS(20000));
  CHECK_OK(close(fd));

  fd = put_off(&full.address);
  CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  begin = mono_ns();
  CHECK_EQ(5, write(fd, "hello", 5));
  CHECK_BETWEEN(MS(49), mono_ns() - begin, MS(20000));
  CHECK_OK(close(fd));
}

static void on_signal(int signal) { (void)signal; }
static pid_t sender_tid;

static void* is_interrupted(void* argument) {
  int way = *(int*)argument;
  int fd = new_socket(way);
  __atomic_store_n(&sender_tid, gettid(), __ATOMIC_SEQ_CST);
  CHECK_ERRNO(EINTR, send_to(fd, "hello", 5, &full.address));
  CHECK_OK(close(fd));
  return NULL;
}

static void interrupted(int way) {
  const struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t thread = start_thread(is_interrupted, &way);
  settle_blocked(&sender_tid);
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  join_thread(thread);
}

static void* sends_to_full(void* argument) {
  struct full* full = argument;
  int fd = full->is_put_off ? put_off(&full->address) : new_socket(full->way);
  CHECK_EQ(5, full->is_put_off ? send(fd, "hello", 5, 0) : send_to(fd, "hello", 5, &full->address));
  check_connected(fd);
  CHECK_OK(close(fd));
  return NULL;
}

static void wait_for_room(void) {
  enum { kSenders = 3 };
  struct full full[kSenders];
  pthread_t threads[kSenders];
  for (int i = 0; i < kSenders; ++i) {
    fill(&full[i]);
    full[i].is_put_off = i == 2;
    full[i].way = i == 1 ? kWithoutData : kWithData;
    threads[i] = start_thread(sends_to_full, &full[i]);
  }
  settle();
  for (int i = 0; i < kSenders; ++i) CHECK_OK(close(accept(full[i].listener, NULL, NULL)));
  for (int i = 0; i < kSenders; ++i) {
    int accepted = accept(full[i].listener, NULL, NULL);
    CHECK_OK(accepted);
    char came[6] = {0};
    read_all(accepted, came, 5);
    CHECK_STR("hello", came);
    join_thread(threads[i]);
    CHECK_OK(close(accepted));
    empty(&full[i]);
  }
}

static void try_all(void) {
  for (int way = 0; way < kWays; ++way) connecting_sends(way);
  for (int way = 0; way < kWays; ++way) big_send(way);
  for (int way = 0; way < kWays; ++way) refused(way);
  refused_when_put_off();
  sends_when_put_off();
  fill(&full);
  without_waiting();
  time_limit();
  for (int way = 0; way < kWays; ++way) interrupted(way);
  empty(&full);
  wait_for_room();
}

int main(void) {
  be_threaded();
  int unheard = bound_socket(SOCK_STREAM, &closed_port);  // bound, so that nobody listens there
  listener = tcp_listener(&open_port, 100);
  // Where the system does not let clients do so, there is nothing to wait for.
  if (is_supported()) try_all();
  CHECK_OK(close(unheard));
  CHECK_OK(close(listener));
  pass("sends that connect");
  return 0;
}
