// Calls that a listener holds (SECCOMP_RET_USER_NOTIF), though they never wait otherwise: a signal
// ends them, or not if its handler has SA_RESTART. What other threads do meanwhile does not.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "check.h"

enum { kAnswer = 77 };

static int listener;
static sem_t ready;
static volatile int handled;
static int raw, wants_end;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* is_held(void* argument) {
  struct sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, instructions};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                          &program);
  CHECK_OK(listener);
  CHECK_OK(sem_post(&ready));
  const long result = raw ? syscall(SYS_getppid) : getppid();
  if (wants_end && raw) CHECK_EQ(-1, result);
  if (wants_end && !raw) CHECK_EQ(-EINTR, result);  // which libc takes for a number
  if (!wants_end) CHECK_EQ(kAnswer, result);
  return argument;
}

// (Who is interrupted while the listener reads is not told of yet.)
static uint64_t is_told(void) {
  struct seccomp_notif told;
  do {
    memset(&told, 0, sizeof told);
  } while (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &told) == -1 && errno == ENOENT);
  CHECK(told.id != 0);
  return told.id;
}

// Who has been interrupted and makes the call again is told of again.
static void answer(uint64_t id) {
  struct seccomp_notif_resp response = {.id = id, .val = kAnswer};
  while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == -1) {
    CHECK_EQ(ENOENT, errno);
    response.id = is_told();
  }
}

static void hold(int by_raw_call, int flags, void (*disturb)(pthread_t)) {
  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  handled = 0;
  raw = by_raw_call;
  wants_end = flags == 0;
  pthread_t thread = start_thread(is_held, NULL);
  sem_take(&ready);
  const uint64_t id = is_told();
  disturb(thread);
  if (!wants_end) answer(id);
  join_thread(thread);
  CHECK_OK(close(listener));
}

static void send_signal(pthread_t thread) {
  settle();
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  for (int64_t end = mono_ns() + MS(kBoundMs); !handled && mono_ns() < end;) sched_yield();
  CHECK_EQ(1, handled);
}

static void set_for_process(pthread_t thread) {
  (void)thread;
  settle();
  for (int i = 0; i < 5; ++i) CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&ready, 0, 0));
  for (int by_raw_call = 0; by_raw_call < 2; ++by_raw_call) {
    hold(by_raw_call, SA_RESTART, send_signal);
    hold(by_raw_call, 0, send_signal);
    hold(by_raw_call, SA_RESTART, set_for_process);
  }
  pass("calls that a listener holds");
  return 0;
}
