// stdio on sockets: one thread reads lines of a stream, while others print to it and to stdout's
// like; every line arrives whole.
#include "net.h"

enum { kPrinters = 5, kLines = 300 };

static FILE *in, *out;

static void* reads_lines(void* argument) {
  char* line = NULL;
  size_t size = 0;
  int next[kPrinters] = {0}, total = 0;
  ssize_t n;
  while ((n = getline(&line, &size, in)) > 0) {
    int id = -1, number = -1, used = 0;
    CHECK_EQ(2, sscanf(line, "printer %d line %d %n", &id, &number, &used));
    CHECK(id >= 0 && id < kPrinters);
    CHECK_EQ(next[id]++, number);
    CHECK_EQ(used + number + 2, n);
    for (int i = used; i < n - 1; ++i) CHECK_EQ('a' + id, line[i]);
    CHECK_EQ('\n', line[n - 1]);
    ++total;
  }
  CHECK(feof(in) && !ferror(in));
  free(line);
  *(int*)argument = total;
  return NULL;
}

static void* prints(void* argument) {
  int id = (int)(intptr_t)argument;
  char text[kLines + 2];
  for (int i = 0; i < kLines; ++i) {
    memset(text, 'a' + id, (size_t)i + 1);
    text[i + 1] = '\0';
    int expected = snprintf(NULL, 0, "printer %d line %d %s\n", id, i, text);
    CHECK_EQ(expected, fprintf(out, "printer %d line %d %s\n", id, i, text));
    if (i % 16 == 0) CHECK_EQ(0, fflush(out));
  }
  return argument;
}

static void converse(int from, int to) {
  in = fdopen(from, "r");
  out = fdopen(to, "w");
  CHECK(in && out);
  int total = 0;
  pthread_t reader = start_thread(reads_lines, &total), printers[kPrinters];
  for (intptr_t i = 0; i < kPrinters; ++i) printers[i] = start_thread(prints, (void*)i);
  for (int i = 0; i < kPrinters; ++i) join_thread(printers[i]);
  CHECK_EQ(0, fclose(out));
  join_thread(reader);
  CHECK_EQ(kPrinters * kLines, total);
  CHECK_EQ(0, fclose(in));
}

static void* answers(void* argument) {
  FILE* stream = fdopen(*(int*)argument, "r+");
  CHECK(stream != NULL);
  char line[64];
  while (fgets(line, sizeof line, stream)) {
    fseek(stream, 0, SEEK_CUR);
    CHECK(fprintf(stream, "you said %s", line) > 0);
    CHECK_EQ(0, fflush(stream));
  }
  CHECK_EQ(0, fclose(stream));
  return NULL;
}

int main(void) {
  be_threaded();
  int pair[2];
  CHECK_OK(pipe(pair));
  converse(pair[0], pair[1]);
  pass("over a pipe");
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  converse(pair[0], pair[1]);
  pass("over a Unix socket");
  tcp_pair(pair);
  converse(pair[0], pair[1]);
  pass("over TCP");

  tcp_pair(pair);
  pthread_t server = start_thread(answers, &pair[1]);
  int copy = dup(pair[0]);
  CHECK_OK(copy);
  in = fdopen(pair[0], "r");
  out = fdopen(copy, "w");
  for (int i = 0; i < 50; ++i) {
    char line[64], expected[64];
    snprintf(expected, sizeof expected, "you said %d\n", i);
    CHECK(fprintf(out, "%d\n", i) > 0);
    CHECK_EQ(0, fflush(out));
    CHECK(fgets(line, sizeof line, in) != NULL);
    CHECK_STR(expected, line);
  }
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  CHECK_EQ(EOF, fgetc(in));
  join_thread(server);
  CHECK_EQ(0, fclose(in));
  CHECK_EQ(0, fclose(out));
  pass("question and answer");
  return 0;
}
