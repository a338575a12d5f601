// Makes a thread, then ends as asked: with a status, or of a signal that it raises, by a fault or
// from abort.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int* volatile nowhere;

static void* nothing(void* argument) { return argument; }

int main(int count, char** arguments) {
  pthread_t thread;
  pthread_create(&thread, NULL, nothing, NULL);
  pthread_join(thread, NULL);
  const char* how = count > 1 ? arguments[1] : "0";
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "fault") == 0) *nowhere = 1;
  if (strcmp(how, "trap") == 0) __builtin_trap();
  return atoi(how);
}
