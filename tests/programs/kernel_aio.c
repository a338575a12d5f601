// Requests that are left to the Linux kernel (io_submit), and who waits for the end of several.
#include <linux/aio_abi.h>

#include "check.h"

struct late {
  int fd;
  pthread_t waiter;
};

static void* write_late(void* argument) {
  settle();
  CHECK_EQ(1, write(((struct late*)argument)->fd, "x", 1));
  return NULL;
}

static volatile int handled;
static void on_signal(int signal) { handled = signal; }

static void* signal_late(void* argument) {
  settle();
  CHECK_RC(pthread_kill(((struct late*)argument)->waiter, SIGUSR1));
  return NULL;
}

static void submit_poll(aio_context_t context, int fd, unsigned number) {
  struct iocb request;
  struct iocb* requests[] = {&request};
  memset(&request, 0, sizeof request);
  request.aio_lio_opcode = IOCB_CMD_POLL;
  request.aio_fildes = (unsigned)fd;
  request.aio_buf = POLLIN;
  request.aio_data = number;
  CHECK_EQ(1, syscall(SYS_io_submit, context, 1, requests));
}

static long wait_for(aio_context_t context, long least, long most, struct io_event* events,
                     int64_t limit_ns) {
  struct timespec limit = from_ns(limit_ns);
  return syscall(SYS_io_getevents, context, least, most, events, &limit);
}

int main(void) {
  be_threaded();
  aio_context_t context = 0;
  CHECK_OK(syscall(SYS_io_setup, 4, &context));
  int first[2], second[2];
  CHECK_OK(pipe(first));
  CHECK_OK(pipe(second));
  struct io_event events[2];

  CHECK_EQ(1, write(first[1], "x", 1));
  submit_poll(context, first[0], 1);
  submit_poll(context, second[0], 2);
  struct late late = {second[1], pthread_self()};
  pthread_t thread = start_thread(write_late, &late);
  memset(events, 0, sizeof events);
  CHECK_EQ(2, wait_for(context, 2, 2, events, MS(kBoundMs)));
  join_thread(thread);
  CHECK_EQ(1, events[0].data);
  CHECK_EQ(2, events[1].data);
  pass("one done, one to come");

  char byte;
  CHECK_EQ(1, read(second[0], &byte, 1));
  submit_poll(context, first[0], 3);
  submit_poll(context, second[0], 4);
  int64_t began = mono_ns();
  CHECK_EQ(1, wait_for(context, 2, 2, events, MS(50)));
  CHECK_BETWEEN(MS(50), mono_ns() - began, MS(kBoundMs));
  CHECK_EQ(3, events[0].data);
  CHECK_EQ(0, wait_for(context, 1, 2, events, 0));
  CHECK_EQ(1, write(second[1], "x", 1));
  CHECK_EQ(1, wait_for(context, 1, 2, events, MS(kBoundMs)));
  CHECK_EQ(4, events[0].data);
  pass("within a time");

  sigset_t blocked, none, now;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
  signal(SIGUSR1, on_signal);
  struct {
    const sigset_t* set;
    size_t size;
  } mask = {&none, _NSIG / 8};
  thread = start_thread(signal_late, &late);
  CHECK_ERRNO(EINTR, syscall(SYS_io_pgetevents, context, 1, 1, events, NULL, &mask));
  CHECK_EQ(SIGUSR1, handled);
  join_thread(thread);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  CHECK_EQ(1, sigismember(&now, SIGUSR1));
  pass("with a mask");
  CHECK_OK(syscall(SYS_io_destroy, context));
  return 0;
}
