// The program has string functions of its own, as programs with a sanitizer linked in do. They are
// the program's: no library that is loaded beside it calls them, neither before main nor on behalf
// of threads.
#include <dlfcn.h>
#include <poll.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>

#include "check.h"

static volatile int strange_calls;

static void note_caller(void* address) {
  static __thread int noting;
  if (noting) return;
  noting = 1;
  Dl_info caller;
  if (dladdr(address, &caller) == 0 || caller.dli_fname == NULL) {
    ++strange_calls;
  } else {
    const char* name = caller.dli_fname;
    const char* last = name;
    for (; *name != '\0'; ++name) last = *name == '/' ? name + 1 : last;
    if (last[0] == 'l' && last[1] == 'i' && last[2] == 'b' && !(last[3] == 'c' && last[4] == '.'))
      ++strange_calls;
  }
  noting = 0;
}
#define NOTE_CALLER() note_caller(__builtin_return_address(0))

void* memmove(void* to, const void* from, size_t size) {
  NOTE_CALLER();
  unsigned char* t = to;
  const unsigned char* f = from;
  if (t < f) {
    for (size_t i = 0; i < size; ++i) t[i] = f[i];
  } else {
    for (size_t i = size; i > 0; --i) t[i - 1] = f[i - 1];
  }
  return to;
}

void* memcpy(void* restrict to, const void* restrict from, size_t size) {
  NOTE_CALLER();
  for (size_t i = 0; i < size; ++i) ((unsigned char*)to)[i] = ((const unsigned char*)from)[i];
  return to;
}

void* memset(void* to, int value, size_t size) {
  NOTE_CALLER();
  for (size_t i = 0; i < size; ++i) ((unsigned char*)to)[i] = (unsigned char)value;
  return to;
}

int memcmp(const void* one, const void* other, size_t size) {
  NOTE_CALLER();
  const unsigned char* a = one;
  const unsigned char* b = other;
  for (; size > 0; --size, ++a, ++b) {
    if (*a != *b) return *a - *b;
  }
  return 0;
}

void* memchr(const void* bytes, int wanted, size_t size) {
  NOTE_CALLER();
  for (const unsigned char* at = bytes; size > 0; ++at, --size) {
    if (*at == (unsigned char)wanted) return (void*)at;
  }
  return NULL;
}

size_t strlen(const char* text) {
  NOTE_CALLER();
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

int strncmp(const char* one, const char* other, size_t size) {
  NOTE_CALLER();
  for (; size > 0; --size, ++one, ++other) {
    if (*one != *other || *one == '\0') return (unsigned char)*one - (unsigned char)*other;
  }
  return 0;
}

int strcmp(const char* one, const char* other) {
  NOTE_CALLER();
  for (; *one == *other && *one != '\0'; ++one) ++other;
  return (unsigned char)*one - (unsigned char)*other;
}

char* strchr(const char* text, int wanted) {
  NOTE_CALLER();
  for (;; ++text) {
    if (*text == (char)wanted) return (char*)text;
    if (*text == '\0') return NULL;
  }
}

char* strrchr(const char* text, int wanted) {
  NOTE_CALLER();
  char* found = NULL;
  for (;; ++text) {
    if (*text == (char)wanted) found = (char*)text;
    if (*text == '\0') return found;
  }
}

static int ends[2];

static void* waits(void* argument) {
  struct pollfd ready = {.fd = ends[0], .events = POLLIN};
  CHECK_EQ(1, poll(&ready, 1, -1));
  char byte;
  CHECK_EQ(1, read(ends[0], &byte, 1));
  return argument;
}

static void* starts_others(void* argument) {
  CHECK_RC(pthread_setname_np(pthread_self(), "starter"));
  char name[16];
  CHECK_RC(pthread_getname_np(pthread_self(), name, sizeof name));
  CHECK_EQ(0, strcmp(name, "starter"));
  const pid_t copy = fork();
  if (copy == 0) _exit(7);
  CHECK(copy > 0);
  int status;
  CHECK_EQ(copy, waitpid(copy, &status, 0));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  char* const arguments[] = {"true", NULL};
  char* const environment[] = {"PATH=/usr/bin", NULL};
  pid_t program;
  CHECK_RC(posix_spawn(&program, "/bin/true", NULL, NULL, arguments, environment));
  CHECK_EQ(program, waitpid(program, &status, 0));
  CHECK_EQ(0, status);
  CHECK_EQ(1, write(ends[1], "x", 1));
  return argument;
}

int main(void) {
  CHECK_OK(pipe(ends));
  pthread_t threads[2];
  CHECK_RC(pthread_create(&threads[0], NULL, waits, NULL));
  CHECK_RC(pthread_create(&threads[1], NULL, starts_others, NULL));
  for (int i = 0; i < 2; ++i) CHECK_RC(pthread_join(threads[i], NULL));
  CHECK_EQ(0, strange_calls);
  pass("the program's string functions are its own");
  return 0;
}
