// Calls that wait, each in a thread of its own: the others go on meanwhile, and one of them does
// what the call waits for. Calls that have programs of their own (reads, connections, time, locks
// of the C library) are there.
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "check.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static char folder[] = "/tmp/blocking_calls.XXXXXX";
static char path[64];
static int ends[2];  // of a pipe or a pair of sockets
static int other[2];
static int fd, fd2;
static int id;
static pid_t child;
static char bytes[1 << 20];

struct wait {
  const char* name;
  void (*prepare)(void);
  long (*call)(void);     // -errno if it fails
  void (*trigger)(void);  // from another thread
  long expected;
};

static long negative(long result) { return result == -1 ? -errno : result; }

static void in_folder(const char* name) { snprintf(path, sizeof path, "%s/%s", folder, name); }

static void fill(int writer) {
  const int flags = fcntl(writer, F_GETFL);
  CHECK_OK(fcntl(writer, F_SETFL, flags | O_NONBLOCK));
  while (write(writer, bytes, sizeof bytes) > 0) {
  }
  while (write(writer, bytes, 1) > 0) {
  }
  CHECK_EQ(EAGAIN, errno);
  CHECK_OK(fcntl(writer, F_SETFL, flags));
}

static void drain(int reader) {
  const int flags = fcntl(reader, F_GETFL);
  CHECK_OK(fcntl(reader, F_SETFL, flags | O_NONBLOCK));
  while (read(reader, bytes, sizeof bytes) > 0) {
  }
  CHECK_OK(fcntl(reader, F_SETFL, flags));
}

// --- pipes and sockets ---

static void empty_pipe(void) { CHECK_OK(pipe(ends)); }
static void full_pipe(void) {
  CHECK_OK(pipe(ends));
  fill(ends[1]);
}
static void empty_pair(void) { CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)); }
static void full_pair(void) {
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  fill(ends[1]);
}
static void full_datagram_pair(void) {
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  while (send(ends[1], bytes, 100, MSG_DONTWAIT) > 0) {
  }
}
static void two_pipes(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(pipe(other));
}
static void write_three(void) { CHECK_EQ(3, write(ends[1], "abc", 3)); }
static void drain_it(void) { drain(ends[0]); }

static long call_preadv2(void) {
  struct iovec part = {bytes, 10};
  return negative(preadv2(ends[0], &part, 1, -1, 0));
}
static long call_pwritev2(void) {
  struct iovec part = {bytes, 5};
  return negative(pwritev2(ends[1], &part, 1, -1, 0));
}
static long call_recvmmsg(void) {
  struct iovec part = {bytes, 10};
  struct mmsghdr messages[2];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 2; ++i) {
    messages[i].msg_hdr.msg_iov = &part;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  return negative(recvmmsg(ends[0], messages, 2, MSG_WAITFORONE, NULL));
}
static long call_sendmmsg(void) {
  struct iovec part = {bytes, 100};
  struct mmsghdr messages[2];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 2; ++i) {
    messages[i].msg_hdr.msg_iov = &part;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  return negative(sendmmsg(ends[1], messages, 2, 0));
}
static void file_and_full_pair(void) {
  full_pair();
  in_folder("sent");
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK_EQ(4096, write(fd, bytes, 4096));
}
static long call_sendfile(void) {
  off_t offset = 0;
  return negative(sendfile(ends[1], fd, &offset, 4096));
}
static long call_splice(void) { return negative(splice(ends[0], NULL, other[1], NULL, 10, 0)); }
static long call_tee(void) { return negative(tee(ends[0], other[1], 10, 0)); }
static long call_vmsplice(void) {
  struct iovec part = {bytes, 100};
  return negative(vmsplice(ends[1], &part, 1, 0));
}

// --- epoll ---

static void watch(int set, int watched, uint32_t events) {
  struct epoll_event event = {events, {.fd = watched}};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, watched, &event));
}
static void pipe_in_set(uint32_t flags) {
  CHECK_OK(pipe(ends));
  fd = epoll_create1(EPOLL_CLOEXEC);
  watch(fd, ends[0], EPOLLIN | flags);
}
static void plain_set(void) { pipe_in_set(0); }
static void exclusive_set(void) { pipe_in_set(EPOLLEXCLUSIVE); }
static void oneshot_set(void) { pipe_in_set(EPOLLONESHOT); }
static void nested_set(void) {
  pipe_in_set(0);
  fd2 = epoll_create1(EPOLL_CLOEXEC);
  watch(fd2, fd, EPOLLIN);
  const int inner = fd;
  fd = fd2;
  fd2 = inner;
}
static void duplicated_set(void) {
  pipe_in_set(0);
  const int copy = dup(fd);
  close(fd);
  fd = copy;
}
static long call_epoll_wait(void) {
  struct epoll_event event;
  return negative(epoll_wait(fd, &event, 1, -1));
}
static long call_epoll_pwait2(void) {
  struct epoll_event event;
  const struct timespec limit = {kBoundMs / 1000, 0};
  sigset_t none;
  sigemptyset(&none);
  return negative(syscall(SYS_epoll_pwait2, fd, &event, 1, &limit, &none, 8));
}

// --- descriptors that tell of something ---

static void make_timerfd(void) { fd = timerfd_create(CLOCK_MONOTONIC, 0); }
static void set_timerfd(void) {
  const struct itimerspec soon = {{0, 0}, {0, 1000000}};
  CHECK_OK(timerfd_settime(fd, 0, &soon, NULL));
}
static long call_read(void) { return negative(read(fd, bytes, 8)); }
static void make_signalfd(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 3);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  fd = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK_OK(fd);
}
static long call_signalfd(void) {
  return negative(read(fd, bytes, sizeof(struct signalfd_siginfo))) ==
                 sizeof(struct signalfd_siginfo)
             ? (long)((struct signalfd_siginfo*)bytes)->ssi_signo - SIGRTMIN
             : -1;
}
static void send_signal(void) { CHECK_OK(kill(getpid(), SIGRTMIN + 3)); }
static void make_inotify(void) {
  fd = inotify_init1(IN_CLOEXEC);
  CHECK_OK(inotify_add_watch(fd, folder, IN_CREATE));
}
static long call_inotify(void) {
  const long n = negative(read(fd, bytes, 4096));
  return n > 0 ? strcmp(((struct inotify_event*)bytes)->name, "created") : n;
}
static void create_file(void) {
  in_folder("created");
  CHECK_OK(close(creat(path, 0600)));
}

// --- children ---

static void make_child(void) {
  CHECK_OK(pipe(ends));
  child = fork();
  if (child == 0) {
    char c;
    close(ends[1]);
    if (read(ends[0], &c, 1) < 0) _exit(1);
    _exit(7);
  }
  fd = (int)syscall(SYS_pidfd_open, child, 0);
}
static void end_child(void) { close(ends[1]); }
static long call_wait4(void) {
  int status;
  return negative(wait4(child, &status, 0, NULL)) == child ? WEXITSTATUS(status) : -1;
}
static long call_waitid_pidfd(void) {
  siginfo_t info;
  return negative(waitid(P_PIDFD, (id_t)fd, &info, WEXITED)) == 0 ? info.si_status : -1;
}
static long call_poll_pidfd(void) {
  struct pollfd p = {fd, POLLIN, 0};
  if (poll(&p, 1, kBoundMs) != 1) return -1;
  return call_waitid_pidfd();
}

// --- locks of files ---

static void locked_by_another(int command) {
  in_folder("locked");
  fd = open(path, O_RDWR | O_CREAT, 0600);
  CHECK_OK(pipe(ends));
  CHECK_OK(pipe(other));
  child = fork();
  if (child == 0) {
    char c = 0;
    close(ends[1]);
    const int own = open(path, O_RDWR);
    struct flock lock = {F_WRLCK, SEEK_SET, 0, 10, 0};
    const int rc = command == 0 ? flock(own, LOCK_EX) : fcntl(own, command, &lock);
    if (rc != 0 || write(other[1], &c, 1) != 1 || read(ends[0], &c, 1) < 0) _exit(1);
    _exit(7);
  }
  char c;
  CHECK_EQ(1, read(other[0], &c, 1));
}
static void locked_by_flock(void) { locked_by_another(0); }
static void locked_by_fcntl(void) { locked_by_another(F_SETLK); }
static long reap(long result) {
  CHECK_EXITED(7, child);
  return result;
}
static long call_flock(void) { return reap(negative(flock(fd, LOCK_EX))); }
static long call_setlkw(void) {
  struct flock lock = {F_WRLCK, SEEK_SET, 5, 10, 0};
  return reap(negative(fcntl(fd, F_SETLKW, &lock)));
}
static long call_ofd_setlkw(void) {
  struct flock lock = {F_WRLCK, SEEK_SET, 5, 10, 0};
  return reap(negative(fcntl(fd, F_OFD_SETLKW, &lock)));
}

// --- System V and POSIX IPC ---

static void make_semaphore(void) {
  id = semget(IPC_PRIVATE, 1, 0600);
  CHECK_OK(id);
}
static struct sembuf take_one = {0, -1, 0};
static struct sembuf give_one = {0, 1, 0};
static long call_semop(void) {
  const long result = negative(semop(id, &take_one, 1));
  CHECK_OK(semctl(id, 0, IPC_RMID));
  return result;
}
static long call_semtimedop(void) {
  const struct timespec limit = {kBoundMs / 1000, 0};
  const long result = negative(semtimedop(id, &take_one, 1, &limit));
  CHECK_OK(semctl(id, 0, IPC_RMID));
  return result;
}
static void give_semaphore(void) { CHECK_OK(semop(id, &give_one, 1)); }
static struct {
  long type;
  char text[512];
} letter = {1, ""};
static void make_queue(void) {
  id = msgget(IPC_PRIVATE, 0600);
  CHECK_OK(id);
}
static void make_full_queue(void) {
  make_queue();
  while (msgsnd(id, &letter, sizeof letter.text, IPC_NOWAIT) == 0) {
  }
  CHECK_EQ(EAGAIN, errno);
}
static void send_letter(void) { CHECK_OK(msgsnd(id, &letter, 3, 0)); }
static void take_letter(void) { CHECK_OK(msgrcv(id, &letter, sizeof letter.text, 0, 0)); }
static long call_msgrcv(void) {
  const long result = negative(msgrcv(id, &letter, sizeof letter.text, 0, 0));
  CHECK_OK(msgctl(id, IPC_RMID, NULL));
  return result;
}
static long call_msgsnd(void) {
  const long result = negative(msgsnd(id, &letter, sizeof letter.text, 0));
  CHECK_OK(msgctl(id, IPC_RMID, NULL));
  return result;
}
static mqd_t queue;
static void make_posix_queue(void) {
  char name[64];
  snprintf(name, sizeof name, "/blocking_calls.%d", (int)getpid());
  struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
  queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  CHECK(queue != (mqd_t)-1);
  CHECK_OK(mq_unlink(name));
}
static void make_full_posix_queue(void) {
  make_posix_queue();
  CHECK_OK(mq_send(queue, "a", 1, 0));
}
static long call_mq_receive(void) { return negative(mq_receive(queue, bytes, 8, NULL)); }
static long call_mq_send(void) { return negative(mq_send(queue, "b", 1, 0)); }
static void send_to_posix_queue(void) { CHECK_OK(mq_send(queue, "abc", 3, 0)); }
static void take_from_posix_queue(void) {
  char text[8];
  CHECK_OK(mq_receive(queue, text, sizeof text, NULL));
}

// --- asynchronous I/O of the kernel ---

static aio_context_t aio;
static struct iocb block;
static void submit_aio(void) {
  CHECK_OK(pipe(ends));
  aio = 0;
  CHECK_OK(syscall(SYS_io_setup, 4, &aio));
  memset(&block, 0, sizeof block);
  block.aio_lio_opcode = IOCB_CMD_POLL;
  block.aio_fildes = (uint32_t)ends[0];
  block.aio_buf = POLLIN;
  struct iocb* list[] = {&block};
  CHECK_EQ(1, syscall(SYS_io_submit, aio, 1L, list));
}
static long call_io_getevents(void) {
  struct io_event event;
  const long result = negative(syscall(SYS_io_getevents, aio, 1L, 1L, &event, NULL));
  CHECK_OK(syscall(SYS_io_destroy, aio));
  return result;
}
static long call_io_pgetevents(void) {
  struct io_event event;
  const long result = negative(syscall(SYS_io_pgetevents, aio, 1L, 1L, &event, NULL, NULL));
  CHECK_OK(syscall(SYS_io_destroy, aio));
  return result;
}
static int has_uring;
static void submit_uring(void) {
  CHECK_OK(pipe(ends));
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  fd = (int)syscall(SYS_io_uring_setup, 4, &params);
  has_uring = fd >= 0;
  if (!has_uring) return;
  char* ring = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  struct io_uring_sqe* entries = mmap(NULL, params.sq_entries * sizeof *entries,
                                      PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
  CHECK(ring != MAP_FAILED && (void*)entries != MAP_FAILED);
  memset(entries, 0, sizeof *entries);
  entries[0].opcode = IORING_OP_POLL_ADD;
  entries[0].fd = ends[0];
  entries[0].poll_events = POLLIN;
  ((uint32_t*)(ring + params.sq_off.array))[0] = 0;
  __atomic_store_n((uint32_t*)(ring + params.sq_off.tail), 1, __ATOMIC_RELEASE);
}
static long call_uring(void) {
  // A sandbox may have none: then there is nothing to wait for but the pipe.
  if (!has_uring) return negative(read(ends[0], bytes, 3)) == 3 ? 1 : -1;
  return negative(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
}

// --- opens ---

static void make_fifo(void) {
  in_folder("fifo");
  unlink(path);
  CHECK_OK(mkfifo(path, 0600));
}
static long call_open_reader(void) { return negative(open(path, O_RDONLY)) >= 0; }
static long call_open_writer(void) { return negative(open(path, O_WRONLY)) >= 0; }
static void open_writer(void) { CHECK_OK(open(path, O_WRONLY)); }
static void open_reader(void) { CHECK_OK(open(path, O_RDONLY)); }

static const struct wait waits[] = {
    {"preadv2", empty_pipe, call_preadv2, write_three, 3},
    {"pwritev2", full_pipe, call_pwritev2, drain_it, 5},
    {"recvmmsg", empty_pair, call_recvmmsg, write_three, 1},
    {"sendmmsg", full_datagram_pair, call_sendmmsg, drain_it, 2},
    {"sendfile", file_and_full_pair, call_sendfile, drain_it, 4096},
    {"splice", two_pipes, call_splice, write_three, 3},
    {"tee", two_pipes, call_tee, write_three, 3},
    {"vmsplice", full_pipe, call_vmsplice, drain_it, 100},
    {"epoll_wait", plain_set, call_epoll_wait, write_three, 1},
    {"epoll_wait, exclusive", exclusive_set, call_epoll_wait, write_three, 1},
    {"epoll_wait, oneshot", oneshot_set, call_epoll_wait, write_three, 1},
    {"epoll_wait, nested", nested_set, call_epoll_wait, write_three, 1},
    {"epoll_wait, duplicated", duplicated_set, call_epoll_wait, write_three, 1},
    {"epoll_pwait2", plain_set, call_epoll_pwait2, write_three, 1},
    {"timerfd", make_timerfd, call_read, set_timerfd, 8},
    {"signalfd", make_signalfd, call_signalfd, send_signal, 3},
    {"inotify", make_inotify, call_inotify, create_file, 0},
    {"wait4", make_child, call_wait4, end_child, 7},
    {"waitid of a pidfd", make_child, call_waitid_pidfd, end_child, 7},
    {"poll of a pidfd", make_child, call_poll_pidfd, end_child, 7},
    {"flock", locked_by_flock, call_flock, end_child, 0},
    {"F_SETLKW", locked_by_fcntl, call_setlkw, end_child, 0},
    {"F_OFD_SETLKW", locked_by_fcntl, call_ofd_setlkw, end_child, 0},
    {"semop", make_semaphore, call_semop, give_semaphore, 0},
    {"semtimedop", make_semaphore, call_semtimedop, give_semaphore, 0},
    {"msgrcv", make_queue, call_msgrcv, send_letter, 3},
    {"msgsnd", make_full_queue, call_msgsnd, take_letter, 0},
    {"mq_receive", make_posix_queue, call_mq_receive, send_to_posix_queue, 3},
    {"mq_send", make_full_posix_queue, call_mq_send, take_from_posix_queue, 0},
    {"io_getevents", submit_aio, call_io_getevents, write_three, 1},
    {"io_pgetevents", submit_aio, call_io_pgetevents, write_three, 1},
    {"io_uring_enter", submit_uring, call_uring, write_three, 1},
    {"open of a FIFO to read", make_fifo, call_open_reader, open_writer, 1},
    {"open of a FIFO to write", make_fifo, call_open_writer, open_reader, 1},
};

static pid_t tid;
static int done;

static void* waiter(void* argument) {
  const struct wait* wait = argument;
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  const long result = wait->call();
  __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
  return (void*)result;
}

static void close_all(void) {
  // What the one before has left open.
  for (int i = 3; i < 64; ++i) {
    if (fcntl(i, F_GETFD) != -1) close(i);
  }
}

int main(void) {
  alarm(50);  // a call that keeps the others from running keeps this one from ending the wait
  CHECK(mkdtemp(folder) != NULL);
  be_threaded();
  for (size_t i = 0; i < sizeof waits / sizeof waits[0]; ++i) {
    const struct wait* wait = &waits[i];
    done = 0;
    wait->prepare();
    pthread_t thread = start_thread(waiter, (void*)wait);
    settle_blocked(&tid);
    if (done) FAIL("%s did not wait: %ld", wait->name, (long)join_thread(thread));
    wait->trigger();
    const long result = (long)join_thread(thread);
    if (result != wait->expected) {
      FAIL("%s: expected %ld, came %ld", wait->name, wait->expected, result);
    }
    pass(wait->name);
    close_all();
  }
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  CHECK_EQ(0, system(command));
  return 0;
}
