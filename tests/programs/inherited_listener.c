// A listening socket made by one program and inherited over fork and exec by another: accept works
// there, in a thread.
#include "net.h"

static int listener;

static void* serves(void* argument) {
  int fd = accept(listener, NULL, NULL);
  CHECK_OK(fd);
  char word[6] = {0};
  CHECK_EQ(5, recv(fd, word, 5, MSG_WAITALL));
  CHECK_STR("hello", word);
  CHECK_EQ(5, send(fd, "world", 5, MSG_NOSIGNAL));
  CHECK_OK(close(fd));
  return argument;
}

static void* asks(void* argument) {
  int fd = tcp_connect(argument);
  CHECK_EQ(5, send(fd, "hello", 5, MSG_NOSIGNAL));
  char word[6] = {0};
  CHECK_EQ(5, recv(fd, word, 5, MSG_WAITALL));
  CHECK_STR("world", word);
  CHECK_OK(close(fd));
  return NULL;
}

int main(int argc, char** argv) {
  if (argc == 2) {  // executed again, with the number of the inherited socket
    listener = atoi(argv[1]);
    pthread_t threads[10];
    for (int i = 0; i < 10; ++i) threads[i] = start_thread(serves, NULL);
    for (int i = 0; i < 10; ++i) join_thread(threads[i]);
    return 21;
  }

  struct sockaddr_in address;
  listener = tcp_listener(&address, 20);
  pthread_t threads[10];
  for (int i = 0; i < 10; ++i) threads[i] = start_thread(asks, &address);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", listener);
    execl("/proc/self/exe", argv[0], number, (char*)NULL);
    _exit(2);
  }
  CHECK_EXITED(21, child);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  pass("accept on an inherited socket");

  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    join_thread(start_thread(serves, NULL));
    serves(NULL);
    _exit(22);
  }
  for (int i = 0; i < 2; ++i) join_thread(start_thread(asks, &address));
  CHECK_EXITED(22, child);
  pass("and over fork alone");
  return 0;
}
