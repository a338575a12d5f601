// SA_NODEFER, SA_RESETHAND and sa_mask: what a handler keeps out while it runs.
#include "check.h"

static volatile sig_atomic_t depth, deepest, usr2_inside, handled;
static int limit;

static int is_blocked(int number) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  return sigismember(&now, number);
}

static void nests(int number) {
  ++handled;
  if (++depth > deepest) deepest = depth;
  if (depth < limit) CHECK_RC(raise(number));
  --depth;
}

static void on_usr2(int number) {
  (void)number;
  usr2_inside = depth > 0;
  ++handled;
}

static void raises_usr2(int number) {
  (void)number;
  ++depth;
  CHECK_EQ(1, is_blocked(SIGUSR1));
  CHECK_EQ(limit, is_blocked(SIGUSR2));
  CHECK_RC(raise(SIGUSR2));
  usleep(100);
  --depth;
}

static void install(int number, void (*handler)(int), int flags, int also_blocked) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigemptyset(&action.sa_mask);
  if (also_blocked) sigaddset(&action.sa_mask, also_blocked);
  CHECK_OK(sigaction(number, &action, NULL));
}

static void reset(int new_limit) {
  depth = deepest = handled = 0;
  usr2_inside = -1;
  limit = new_limit;
}

static void* body(void* argument) {
  reset(5);
  install(SIGUSR1, nests, SA_NODEFER, 0);
  CHECK_RC(raise(SIGUSR1));
  CHECK_EQ(5, deepest);
  CHECK_EQ(5, handled);
  return argument;
}

static void stops_nesting(int number) {
  ++handled;
  if (handled < 3) CHECK_RC(raise(number));
}

static void* deferred(void* argument) {
  reset(0);
  install(SIGUSR1, stops_nesting, 0, 0);
  CHECK_RC(raise(SIGUSR1));
  CHECK_EQ(3, handled);
  CHECK_EQ(0, is_blocked(SIGUSR1));
  return argument;
}

static void* masks(void* argument) {
  install(SIGUSR2, on_usr2, 0, 0);
  reset(0);
  install(SIGUSR1, raises_usr2, 0, 0);
  CHECK_RC(raise(SIGUSR1));
  CHECK_EQ(1, usr2_inside);
  reset(1);
  install(SIGUSR1, raises_usr2, 0, SIGUSR2);
  CHECK_RC(raise(SIGUSR1));
  CHECK_EQ(0, usr2_inside);
  CHECK_EQ(0, is_blocked(SIGUSR2));
  return argument;
}

static void* resets(void* argument) {
  reset(0);
  install(SIGWINCH, on_usr2, SA_RESETHAND, 0);  // ignored by default
  CHECK_RC(raise(SIGWINCH));
  CHECK_EQ(1, handled);
  struct sigaction now;
  CHECK_OK(sigaction(SIGWINCH, NULL, &now));
  CHECK(now.sa_handler == SIG_DFL);
  CHECK_RC(raise(SIGWINCH));
  CHECK_EQ(1, handled);
  return argument;
}

static void run(const char* name, void* (*what)(void*)) {
  join_thread(start_thread(what, NULL));
  what(NULL);
  pass(name);
}

int main(void) {
  be_threaded();
  run("SA_NODEFER", body);
  run("deferred without it", deferred);
  run("sa_mask", masks);
  run("SA_RESETHAND", resets);
  CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
  CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
  pass("signal returns the old handler");
  return 0;
}
