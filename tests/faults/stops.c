// stops COUNT PROGRAM [ARGUMENT...]: runs the program, again and again, until it has stopped and
// continued it so many times (SIGSTOP, SIGCONT). Each run must come to its end with status 0.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t state = 88172645463325252U;

static unsigned below(unsigned limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)(state >> 33) % limit;
}

static void pause_for(unsigned microseconds) {
  const struct timespec t = {0, (long)microseconds * 1000};
  nanosleep(&t, NULL);
}

// 0: it goes on. Ends this program if it has failed.
static int has_ended(pid_t child, int options) {
  int status;
  const pid_t waited = waitpid(child, &status, options);
  if (waited == 0) return 0;
  if (waited == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 1;
  fprintf(stderr, "stops: the program ended with wait status %#x\n", status);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const unsigned long wanted = strtoul(argv[1], NULL, 10);
  unsigned long stops = 0, runs = 0;
  while (stops < wanted) {
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      execv(argv[2], argv + 2);
      _exit(127);
    }
    ++runs;
    while (!has_ended(child, stops < wanted ? WNOHANG : 0)) {
      kill(child, SIGSTOP);
      pause_for(below(400));
      kill(child, SIGCONT);
      ++stops;
      pause_for(below(1500));
    }
  }
  fprintf(stderr, "stops: %lu in %lu runs\n", stops, runs);
  return 0;
}
