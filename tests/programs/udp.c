// UDP: many threads ask one server thread; recvfrom and recvmsg fill in the sender's address.
#include "net.h"

enum { kClients = 30, kRounds = 20 };

struct question {
  int id, round;
  in_port_t port;
};

static struct sockaddr_in server_address;

static void* serves(void* argument) {
  int fd = *(int*)argument;
  for (int i = 0; i < kClients * kRounds; ++i) {
    struct question q;
    struct sockaddr_in from;
    memset(&from, 0xee, sizeof from);
    socklen_t size = sizeof from;
    if (i % 2) {
      CHECK_EQ(sizeof q, recvfrom(fd, &q, sizeof q, 0, (struct sockaddr*)&from, &size));
    } else {
      struct iovec part = {&q, sizeof q};
      struct msghdr message = {
          .msg_name = &from, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
      CHECK_EQ(sizeof q, recvmsg(fd, &message, 0));
      size = message.msg_namelen;
    }
    CHECK_EQ(sizeof from, size);
    CHECK_EQ(AF_INET, from.sin_family);
    CHECK_EQ(htonl(INADDR_LOOPBACK), from.sin_addr.s_addr);
    CHECK_EQ(q.port, from.sin_port);
    CHECK_EQ(sizeof q, sendto(fd, &q, sizeof q, 0, (struct sockaddr*)&from, size));
  }
  return NULL;
}

static void* asks(void* argument) {
  struct sockaddr_in own;
  int fd = bound_socket(SOCK_DGRAM, &own);
  for (int round = 0; round < kRounds; ++round) {
    struct question q = {(int)(intptr_t)argument, round, own.sin_port}, answer;
    CHECK_EQ(sizeof q,
             sendto(fd, &q, sizeof q, 0, (struct sockaddr*)&server_address, sizeof server_address));
    struct sockaddr_in from = {0};
    socklen_t size = 8;  // too short an address is cut, and its real length told
    CHECK_EQ(sizeof q, recvfrom(fd, &answer, sizeof answer, 0, (struct sockaddr*)&from, &size));
    CHECK_EQ(sizeof from, size);
    CHECK_EQ(server_address.sin_port, from.sin_port);
    CHECK_EQ(q.id, answer.id);
    CHECK_EQ(round, answer.round);
  }
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  int server = bound_socket(SOCK_DGRAM, &server_address);
  pthread_t thread = start_thread(serves, &server), clients[kClients];
  for (intptr_t i = 0; i < kClients; ++i) clients[i] = start_thread(asks, (void*)i);
  for (int i = 0; i < kClients; ++i) join_thread(clients[i]);
  join_thread(thread);
  pass("questions and answers");

  int pair[2];
  struct sockaddr_in from;
  memset(&from, 0xee, sizeof from);
  socklen_t size = sizeof from;
  char c;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_EQ(1, write(pair[1], "x", 1));
  CHECK_EQ(1, recvfrom(pair[0], &c, 1, 0, (struct sockaddr*)&from, &size));
  CHECK(size <= sizeof from.sin_family);  // no address is invented for a stream
  pass("no address where there is none");
  return 0;
}
