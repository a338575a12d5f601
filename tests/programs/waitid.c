// waitid by process, group, any and pidfd; WNOWAIT leaves the child waitable; poll on a pidfd.
#include <sys/pidfd.h>

#include "check.h"

static pid_t make_child(int code, int delay_ms) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    usleep((useconds_t)delay_ms * 1000);
    if (code < 0) raise(-code);
    _exit(code);
  }
  return child;
}

static void check_info(const siginfo_t* info, pid_t child, int code, int status) {
  CHECK_EQ(SIGCHLD, info->si_signo);
  CHECK_EQ(child, info->si_pid);
  CHECK_EQ(code, info->si_code);
  CHECK_EQ(status, info->si_status);
  CHECK_EQ(getuid(), info->si_uid);
}

static void* body(void* argument) {
  siginfo_t info;
  pid_t child = make_child(21, 10);
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  check_info(&info, child, CLD_EXITED, 21);
  memset(&info, 0, sizeof info);
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED));
  check_info(&info, child, CLD_EXITED, 21);
  CHECK_ERRNO(ECHILD, waitid(P_PID, (id_t)child, &info, WEXITED));

  child = make_child(-SIGKILL, 0);
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED));
  check_info(&info, child, CLD_KILLED, SIGKILL);

  child = make_child(0, 60000);
  memset(&info, 0xee, sizeof info);
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG));
  CHECK_EQ(0, info.si_pid);
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WSTOPPED));
  check_info(&info, child, CLD_STOPPED, SIGSTOP);
  CHECK_OK(kill(child, SIGCONT));
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WCONTINUED));
  check_info(&info, child, CLD_CONTINUED, SIGCONT);
  CHECK_OK(kill(child, SIGTERM));
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WSTOPPED));
  check_info(&info, child, CLD_KILLED, SIGTERM);
  return argument;
}

static void* polls_pidfd(void* argument) {
  pid_t child = make_child(22, 20);
  int fd = pidfd_open(child, 0);
  CHECK_OK(fd);
  struct pollfd p = {fd, POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  siginfo_t info;
  CHECK_OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
  check_info(&info, child, CLD_EXITED, 22);
  CHECK_ERRNO(ESRCH, pidfd_send_signal(fd, 0, NULL, 0));
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(body, NULL);
  body(NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  pass("by process");
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(polls_pidfd, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  pass("by pidfd");
  siginfo_t info;
  pid_t child = make_child(23, 5);
  CHECK_OK(waitid(P_ALL, 0, &info, WEXITED));
  check_info(&info, child, CLD_EXITED, 23);
  child = make_child(24, 5);
  CHECK_OK(waitid(P_PGID, (id_t)getpgrp(), &info, WEXITED));
  check_info(&info, child, CLD_EXITED, 24);
  CHECK_ERRNO(ECHILD, waitid(P_ALL, 0, &info, WEXITED));
  CHECK_ERRNO(EINVAL, waitid(P_ALL, 0, &info, 0));
  pass("any");
  return 0;
}
