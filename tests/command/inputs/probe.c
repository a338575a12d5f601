// The program that the tests run: it tells how it was started.
//   probe [word…]     "green" or "native" (is the dummy shim loaded?), then its words, one a line
//   probe secure      status: AT_SECURE
//   probe pid         prints its process id
//   probe print NAME  prints the variable
//   probe exit N      ends with status N
//   probe die N       dies of signal N
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

// Defined by the dummy shim.
extern int tendril_dummy_shim __attribute__((weak));

int main(int argc, char** argv) {
  const char* verb = argc > 1 ? argv[1] : "";
  if (strcmp(verb, "secure") == 0) return getauxval(AT_SECURE) != 0;
  if (strcmp(verb, "pid") == 0) return printf("%ld\n", (long)getpid()) < 0;
  if (strcmp(verb, "print") == 0) {
    const char* value = getenv(argv[2]);
    return puts(value != NULL ? value : "(unset)") < 0;
  }
  if (strcmp(verb, "exit") == 0) return atoi(argv[2]);
  if (strcmp(verb, "die") == 0) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    raise(atoi(argv[2]));
  }
  puts(&tendril_dummy_shim != NULL ? "green" : "native");
  for (int i = 1; i < argc; ++i) puts(argv[i]);
  return 0;
}
