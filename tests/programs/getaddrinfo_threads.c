// Names resolved in fifty threads at once.
#include <netdb.h>

#include "net.h"

enum { kThreads = 50 };

static pthread_barrier_t barrier;

static void* resolves(void* argument) {
  int id = (int)(intptr_t)argument;
  char service[16];
  snprintf(service, sizeof service, "%d", 1000 + id);
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 5; ++i) {
    CHECK_RC(getaddrinfo("localhost", service, &hints, &list));
    const struct sockaddr_in* address = (const struct sockaddr_in*)list->ai_addr;
    CHECK_EQ(AF_INET, address->sin_family);
    CHECK_EQ(htonl(INADDR_LOOPBACK), address->sin_addr.s_addr);
    CHECK_EQ(htons((uint16_t)(1000 + id)), address->sin_port);
    char host[64], number[16];
    CHECK_RC(getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, number, sizeof number,
                         NI_NUMERICHOST | NI_NUMERICSERV));
    CHECK_STR("127.0.0.1", host);
    CHECK_STR(service, number);
    freeaddrinfo(list);
  }
  hints.ai_flags = AI_NUMERICHOST;
  CHECK_EQ(EAI_NONAME, getaddrinfo("no number", NULL, &hints, &list));
  struct hostent own, *found = NULL;
  char buffer[2048];
  int error = 0;
  CHECK_RC(gethostbyname_r("localhost", &own, buffer, sizeof buffer, &found, &error));
  CHECK(found == &own);
  CHECK_EQ(AF_INET, own.h_addrtype);
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(resolves, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("localhost in fifty threads");
  return 0;
}
