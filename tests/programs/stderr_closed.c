// Who reads the other end of our stderr finds its end when we have closed it, not when we end.
#include "check.h"

static void* reads_to_the_end(void* argument) {
  const int from = *(int*)argument;
  static char text[64];
  size_t length = 0;
  ssize_t got;
  while ((got = read(from, text + length, sizeof text - 1 - length)) > 0) length += (size_t)got;
  CHECK_EQ(0, got);
  return text;
}

int main(void) {
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_EQ(2, dup2(ends[1], 2));
  CHECK_OK(close(ends[1]));
  pthread_t reader = start_thread(reads_to_the_end, &ends[0]);
  fputs("to the reader\n", stderr);
  CHECK_OK(fclose(stderr));
  printf("read: %s", (char*)join_thread(reader));
  return 0;
}
