// accept on a listening socket that another process has as well: that one may take the connection
// that was seen, make the socket non-blocking or shut it down; and the errors of accept.
#include <sys/resource.h>
#include <sys/time.h>

#include "net.h"

static struct sockaddr_in address;
static int listener;

// --- two processes with acceptors of their own, and one client for each connection ---

enum { kAcceptors = 3, kConnections = 300 };

static void* accepts(void* argument) {
  long served = 0;
  for (;;) {
    struct sockaddr_in peer = {0}, own;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, (struct sockaddr*)&peer, &size, SOCK_CLOEXEC);
    CHECK_OK(fd);
    CHECK_EQ(sizeof peer, size);
    CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
    CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(sizeof own, recv(fd, &own, sizeof own, MSG_WAITALL));
    if (own.sin_port == 0) {  // the word to stop
      CHECK_OK(close(fd));
      *(long*)argument = served;
      return NULL;
    }
    CHECK_EQ(own.sin_port, peer.sin_port);
    ++served;
    CHECK_EQ(1, send(fd, "y", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fd));
  }
}

static long serve(void) {
  pthread_t threads[kAcceptors];
  long served[kAcceptors], all = 0;
  for (int i = 0; i < kAcceptors; ++i) threads[i] = start_thread(accepts, &served[i]);
  for (int i = 0; i < kAcceptors; ++i) {
    join_thread(threads[i]);
    all += served[i];
  }
  return all;
}

static void* asks(void* argument) {
  (void)argument;
  for (int i = 0; i < kConnections / 2; ++i) {
    int fd = tcp_connect(&address);
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    CHECK_OK(getsockname(fd, (struct sockaddr*)&own, &size));
    CHECK_EQ(sizeof own, send(fd, &own, sizeof own, MSG_NOSIGNAL));
    char answer;
    CHECK_EQ(1, recv(fd, &answer, 1, 0));
    CHECK_EQ('y', answer);
    CHECK_OK(close(fd));
  }
  return NULL;
}

static void two_processes(void) {
  int result[2];
  CHECK_OK(pipe(result));
  listener = tcp_listener(&address, 50);
  pid_t children[2];
  for (int i = 0; i < 2; ++i) {
    children[i] = fork();
    CHECK_OK(children[i]);
    if (children[i] == 0) {
      long served = serve();
      CHECK_EQ(sizeof served, write(result[1], &served, sizeof served));
      _exit(3);
    }
  }
  pthread_t clients[2];
  for (int i = 0; i < 2; ++i) clients[i] = start_thread(asks, NULL);
  for (int i = 0; i < 2; ++i) join_thread(clients[i]);
  const struct sockaddr_in stop = {.sin_port = 0};
  for (int i = 0; i < 2 * kAcceptors; ++i) {
    int fd = tcp_connect(&address);
    CHECK_EQ(sizeof stop, send(fd, &stop, sizeof stop, MSG_NOSIGNAL));
    char end;
    CHECK_EQ(0, recv(fd, &end, 1, 0));
    CHECK_OK(close(fd));
  }
  long all = 0;
  for (int i = 0; i < 2; ++i) {
    long served;
    CHECK_EQ(sizeof served, read(result[0], &served, sizeof served));
    all += served;
    CHECK_EXITED(3, children[i]);
  }
  CHECK_EQ(kConnections, all);
  CHECK_OK(close(result[0]));
  CHECK_OK(close(result[1]));
  CHECK_OK(close(listener));
}

// --- what the other process does, on the word of this one ---

static int pair[2];

static void tell(char what) {
  CHECK_EQ(1, send(pair[0], &what, 1, 0));
  char done;
  CHECK_EQ(1, recv(pair[0], &done, 1, 0));
}

static void other_process(void) {
  for (char what; recv(pair[1], &what, 1, 0) == 1;) {
    int flags = fcntl(listener, F_GETFL);
    CHECK_OK(flags);
    if (what == 'n') CHECK_OK(fcntl(listener, F_SETFL, flags | O_NONBLOCK));
    if (what == 'b') CHECK_OK(fcntl(listener, F_SETFL, flags & ~O_NONBLOCK));
    if (what == 's') CHECK_OK(shutdown(listener, SHUT_RDWR));
    if (what == 'l') {
      const struct timeval limit = {0, 50000};
      CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    }
    if (what == 'u') {
      const struct timeval none = {0, 0};
      CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
    }
    CHECK_EQ(1, send(pair[1], "d", 1, 0));
  }
  _exit(4);
}

static void on_signal(int number) { (void)number; }

static int expected_error;
static void* waits_for_error(void* argument) {
  (void)argument;
  CHECK_ERRNO(expected_error, accept(listener, NULL, NULL));
  return NULL;
}

static void* waits_for_connection(void* argument) {
  int fd = accept(listener, NULL, NULL);
  CHECK_OK(fd);
  *(int*)argument = fd;
  return NULL;
}

static void with_another(void) {
  listener = tcp_listener(&address, 5);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pid_t other = fork();
  CHECK_OK(other);
  if (other == 0) {
    CHECK_OK(close(pair[0]));
    other_process();
  }
  CHECK_OK(close(pair[1]));
  be_threaded();

  tell('n');
  CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  int client = tcp_connect(&address);
  int fd = accept(listener, NULL, NULL);
  CHECK_OK(fd);
  CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK_OK(close(client));
  CHECK_OK(close(fd));
  tell('b');
  fd = -1;
  pthread_t thread = start_thread(waits_for_connection, &fd);
  client = tcp_connect(&address);
  join_thread(thread);
  CHECK_OK(close(client));
  CHECK_OK(close(fd));
  pass("made non-blocking and blocking again by another process");

  // A connection has the limit that its listener had when it came.
  tell('l');
  CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  client = tcp_connect(&address);
  fd = accept(listener, NULL, NULL);
  CHECK_OK(fd);
  char byte;
  CHECK_ERRNO(EAGAIN, recv(fd, &byte, 1, 0));
  CHECK_OK(close(client));
  CHECK_OK(close(fd));
  tell('u');
  client = tcp_connect(&address);
  fd = accept(listener, NULL, NULL);
  CHECK_OK(fd);
  CHECK_EQ(1, send(client, "x", 1, 0));
  CHECK_EQ(1, recv(fd, &byte, 1, 0));
  CHECK_OK(close(client));
  CHECK_OK(close(fd));
  pass("time limits set by another process");

  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  expected_error = EINTR;
  thread = start_thread(waits_for_error, NULL);
  while (pthread_tryjoin_np(thread, NULL) == EBUSY) {  // until it has begun to wait
    pthread_kill(thread, SIGUSR1);
    sched_yield();
  }
  pass("interrupted");

  // The lowest number is 0 again, and none is left.
  int input = dup(STDIN_FILENO);
  CHECK_OK(input);
  CHECK_OK(close(STDIN_FILENO));
  client = tcp_connect(&address);  // takes number 0
  CHECK_EQ(STDIN_FILENO, client);
  int second = tcp_connect(&address);
  CHECK_OK(close(client));
  CHECK_EQ(STDIN_FILENO, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
  CHECK(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK);
  struct rlimit limit, none;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  none = limit;
  none.rlim_cur = 1;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
  CHECK_ERRNO(EMFILE, accept(listener, NULL, NULL));
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERRNO(EFAULT, accept(listener, (struct sockaddr*)8, (socklen_t*)8));
  CHECK_EQ(0, recv(second, &byte, 1, 0));  // the connection is lost with that
  CHECK_OK(close(second));
  CHECK_EQ(STDIN_FILENO, dup2(input, STDIN_FILENO));
  CHECK_OK(close(input));
  pass("number 0, no number, bad address");

  int datagrams = bound_socket(SOCK_DGRAM, &(struct sockaddr_in){0});
  CHECK_ERRNO(EOPNOTSUPP, accept(datagrams, NULL, NULL));
  CHECK_ERRNO(EINVAL, accept4(listener, NULL, NULL, 1));
  CHECK_OK(close(datagrams));
  expected_error = EINVAL;
  thread = start_thread(waits_for_error, NULL);
  tell('s');
  join_thread(thread);
  CHECK_ERRNO(EINVAL, accept(listener, NULL, NULL));
  pass("shut down by another process");
  CHECK_OK(close(pair[0]));
  CHECK_EXITED(4, other);
}

int main(void) {
  two_processes();
  pass("each connection to one of two processes");
  with_another();
  return 0;
}
