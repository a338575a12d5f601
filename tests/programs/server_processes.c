// What servers do with processes and the C library's databases, from threads: pre-forked workers
// that make threads of their own on an inherited listener, children that nobody waits for yet,
// getpwnam and syslog by many threads at once, vfork and exec beside threads that go on.
#include <pwd.h>
#include <syslog.h>

#include "net.h"

enum { kWorkers = 3, kThreads = 4, kClients = 24 };

// --- pre-forked workers, each with threads, on one listener ---

static int listener;

static void* serve(void* argument) {
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    char word[4];
    read_all(fd, word, sizeof word);
    if (memcmp(word, "stop", 4) == 0) _exit(0);
    const pid_t self = getpid();
    CHECK_EQ(sizeof self, write(fd, &self, sizeof self));
    CHECK_OK(close(fd));
  }
  return argument;
}

static void* ask(void* argument) {
  const struct sockaddr_in* address = argument;
  const int fd = tcp_connect(address);
  pid_t who = 0;
  CHECK_EQ(4, write(fd, "who?", 4));
  read_all(fd, &who, sizeof who);
  CHECK_OK(close(fd));
  return (void*)(intptr_t)who;
}

static void pre_forked_workers(void) {
  struct sockaddr_in address;
  listener = tcp_listener(&address, kClients);
  pid_t workers[kWorkers];
  for (int i = 0; i < kWorkers; ++i) {
    workers[i] = fork();
    CHECK_OK(workers[i]);
    if (workers[i] == 0) {
      for (int t = 0; t < kThreads; ++t) start_thread(serve, NULL);
      pause();
    }
  }
  pthread_t clients[kClients];
  for (int i = 0; i < kClients; ++i) clients[i] = start_thread(ask, &address);
  for (int i = 0; i < kClients; ++i) {
    const pid_t who = (pid_t)(intptr_t)join_thread(clients[i]);
    int known = 0;
    for (int w = 0; w < kWorkers; ++w) known += workers[w] == who;
    CHECK_EQ(1, known);
  }
  for (int i = 0; i < kWorkers; ++i) {
    const int fd = tcp_connect(&address);
    CHECK_EQ(4, write(fd, "stop", 4));
    char none;
    const ssize_t got = read(fd, &none, 1);  // its end, whichever worker it was
    CHECK(got == 0 || (got == -1 && errno == ECONNRESET));
    CHECK_OK(close(fd));
  }
  for (int i = 0; i < kWorkers; ++i) CHECK_EXITED(0, workers[i]);
  CHECK_OK(close(listener));
}

// --- children that have ended and that nobody has waited for ---

static void* make_child(void* argument) {
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) _exit((int)(intptr_t)argument);
  siginfo_t info;
  // Ended, and still to be waited for: it stays so.
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  CHECK_EQ(child, info.si_pid);
  CHECK_OK(kill(child, 0));
  return (void*)(intptr_t)child;
}

static void unwaited_children(void) {
  pthread_t threads[8];
  for (intptr_t i = 0; i < 8; ++i) threads[i] = start_thread(make_child, (void*)(10 + i));
  pid_t children[8];
  for (int i = 0; i < 8; ++i) children[i] = (pid_t)(intptr_t)join_thread(threads[i]);
  for (int i = 0; i < 8; ++i) CHECK_EXITED(10 + i, children[i]);
  for (int i = 0; i < 8; ++i) CHECK_ERRNO(ECHILD, waitpid(children[i], NULL, 0));
}

// --- the C library's databases ---

static void* look_up(void* argument) {
  for (int i = 0; i < 40; ++i) {
    struct passwd entry, *found = NULL;
    char buffer[4096];
    CHECK_RC(getpwnam_r("root", &entry, buffer, sizeof buffer, &found));
    CHECK(found == &entry && entry.pw_uid == 0);
    syslog(LOG_DEBUG, "line %d", i);
  }
  return argument;
}

static void databases(void) {
  openlog("server_processes", LOG_NDELAY, LOG_USER);
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(look_up, NULL);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  closelog();
}

// --- vfork beside threads ---

static int over;             // atomic
static unsigned long steps;  // atomic

static void* go_on(void* argument) {
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
    __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
    sched_yield();
  }
  return argument;
}

static void* vfork_and_exec(void* argument) {
  for (int i = 0; i < 10; ++i) {
    const pid_t child = vfork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", "exit 5", (char*)NULL);
      _exit(127);
    }
    CHECK_OK(child);
    CHECK_EXITED(5, child);
    const pid_t failing = vfork();
    if (failing == 0) {
      execl("/nowhere/at/all", "x", (char*)NULL);
      _exit(errno == ENOENT ? 6 : 127);
    }
    CHECK_OK(failing);
    CHECK_EXITED(6, failing);
  }
  return argument;
}

static void vfork_in_threads(void) {
  const pthread_t other = start_thread(go_on, NULL);
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(vfork_and_exec, NULL);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  join_thread(other);
  CHECK(steps > 0);
}

int main(void) {
  be_threaded();
  pre_forked_workers();
  pass("pre-forked workers");
  unwaited_children();
  pass("children that nobody has waited for");
  databases();
  pass("getpwnam and syslog");
  vfork_in_threads();
  pass("vfork in threads");
  return 0;
}
