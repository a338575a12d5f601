// libc's wrappers give the results and errors of the system calls below them, which are made here
// by an instruction of the program's own.
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "check.h"

// A jump leads to the instruction, which therefore stays as it is wherever others are rewritten.
long raw_call(long number, ...);
asm(".text\n"
    ".type raw_call, @function\n"
    "raw_call:\n"
    "movq %rdi, %rax\n"
    "movq %rsi, %rdi\n"
    "movq %rdx, %rsi\n"
    "movq %rcx, %rdx\n"
    "movq %r8, %r10\n"
    "movq %r9, %r8\n"
    "movq 8(%rsp), %r9\n"
    "jmp 1f\n"
    "1: syscall\n"
    "ret\n"
    ".size raw_call, .-raw_call\n");

static _Atomic int compared = 0;

static void same(int line, const char* what, long wrapper, int error, long raw) {
  if (wrapper == -1) wrapper = -error;
  if (wrapper != raw) {
    fail_at(__FILE__, line, "%s: the wrapper gave %ld, the call %ld", what, wrapper, raw);
  }
  ++compared;
}

// Both of them, one after the other: for calls that may be repeated.
#define SAME(wrapper, ...)                                          \
  do {                                                              \
    errno = 0;                                                      \
    const long came_ = (long)(wrapper);                             \
    const int error_ = errno;                                       \
    same(__LINE__, #wrapper, came_, error_, raw_call(__VA_ARGS__)); \
  } while (0)

static void* compares(void* argument) {
  (void)argument;
  char text[256] = "text";
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && null >= 0 && zero >= 0);
  void* volatile hidden = (void*)16;  // or the compiler sees that it is wrong
  void* const nowhere = hidden;
  volatile int hidden_count = -1;
  const int less = hidden_count, many = 5001 + hidden_count;
  struct iovec vector = {text, sizeof text};
  struct iovec bad_vector = {nowhere, 64};

  SAME(read(zero, text, 100), SYS_read, zero, text, 100L);
  SAME(read(999, text, 100), SYS_read, 999L, text, 100L);
  SAME(read(zero, nowhere, 100), SYS_read, zero, nowhere, 100L);
  SAME(read(null, text, 100), SYS_read, null, text, 100L);
  SAME(write(null, text, 100), SYS_write, null, text, 100L);
  SAME(write(zero + 900, text, 100), SYS_write, zero + 900L, text, 100L);
  SAME(write(file, text, 100), SYS_write, file, text, 100L);
  SAME(pread(file, text, 64, 3), SYS_pread64, file, text, 64L, 3L);
  SAME(pread(file, text, 64, -3), SYS_pread64, file, text, 64L, -3L);
  SAME(pwrite(null, text, 64, 0), SYS_pwrite64, null, text, 64L, 0L);
  SAME(readv(zero, &vector, 1), SYS_readv, zero, &vector, 1L);
  SAME(readv(zero, &bad_vector, 1), SYS_readv, zero, &bad_vector, 1L);
  SAME(readv(zero, &vector, less), SYS_readv, zero, &vector, -1L);
  SAME(readv(zero, &vector, many), SYS_readv, zero, &vector, 5000L);
  SAME(writev(null, &vector, 1), SYS_writev, null, &vector, 1L);
  SAME(preadv(file, &vector, 1, 1), SYS_preadv, file, &vector, 1L, 1L, 0L);
  SAME(lseek(file, 10, SEEK_SET), SYS_lseek, file, 10L, (long)SEEK_SET);
  SAME(lseek(file, 10, 77), SYS_lseek, file, 10L, 77L);
  SAME(lseek(999, 0, SEEK_CUR), SYS_lseek, 999L, 0L, (long)SEEK_CUR);
  SAME(close(999), SYS_close, 999L);
  SAME(dup(999), SYS_dup, 999L);
  SAME(dup2(null, null), SYS_dup2, null, null);
  SAME(dup2(999, null), SYS_dup2, 999L, null);
  SAME(dup3(null, null, 0), SYS_dup3, null, null, 0L);
  SAME(fcntl(null, F_GETFL), SYS_fcntl, null, (long)F_GETFL, 0L);
  SAME(fcntl(null, F_GETFD), SYS_fcntl, null, (long)F_GETFD, 0L);
  SAME(fcntl(999, F_GETFL), SYS_fcntl, 999L, (long)F_GETFL, 0L);
  SAME(fcntl(null, 12345), SYS_fcntl, null, 12345L, 0L);
  SAME(ioctl(null, 0x5401, text), SYS_ioctl, null, 0x5401L, text);
  SAME(ioctl(999, 0x5401, text), SYS_ioctl, 999L, 0x5401L, text);
  SAME(fsync(null), SYS_fsync, null);
  SAME(fsync(999), SYS_fsync, 999L);
  SAME(fdatasync(999), SYS_fdatasync, 999L);
  SAME(flock(999, LOCK_SH), SYS_flock, 999L, (long)LOCK_SH);
  SAME(flock(null, 99), SYS_flock, null, 99L);
  SAME(ftruncate(null, 5), SYS_ftruncate, null, 5L);
  SAME(sendfile(null, 999, NULL, 10), SYS_sendfile, null, 999L, NULL, 10L);
  SAME(open("/nowhere/at/all", O_RDONLY), SYS_openat, (long)AT_FDCWD, "/nowhere/at/all",
       (long)O_RDONLY, 0L);
  SAME(open(nowhere, O_RDONLY), SYS_openat, (long)AT_FDCWD, nowhere, (long)O_RDONLY, 0L);
  SAME(access("/", R_OK), SYS_access, "/", (long)R_OK);
  SAME(access("/nowhere", R_OK), SYS_access, "/nowhere", (long)R_OK);
  SAME(readlink("/proc/self/exe", text, sizeof text), SYS_readlink, "/proc/self/exe", text,
       sizeof text);
  SAME(readlink("/", text, sizeof text), SYS_readlink, "/", text, sizeof text);
  SAME(chdir("/nowhere"), SYS_chdir, "/nowhere");
  SAME(mkdir("/", 0), SYS_mkdir, "/", 0L);
  SAME(unlink("/nowhere"), SYS_unlink, "/nowhere");
  SAME(rename("/nowhere", "/nor/there"), SYS_rename, "/nowhere", "/nor/there");
  struct stat status;
  struct statfs system;
  SAME(fstatfs(null, &system), SYS_fstatfs, null, &system);
  SAME(statfs("/nowhere", &system), SYS_statfs, "/nowhere", &system);
  SAME(fstat(999, &status), SYS_fstat, 999L, &status);
  SAME(stat("/nowhere", &status), SYS_stat, "/nowhere", &status);
  SAME(socket(AF_INET, 77, 0), SYS_socket, (long)AF_INET, 77L, 0L);
  SAME(socket(999, SOCK_STREAM, 0), SYS_socket, 999L, (long)SOCK_STREAM, 0L);
  SAME(listen(null, 5), SYS_listen, null, 5L);
  SAME(accept(null, NULL, NULL), SYS_accept, null, NULL, NULL);
  SAME(accept4(999, NULL, NULL, 0), SYS_accept4, 999L, NULL, NULL, 0L);
  SAME(connect(null, (struct sockaddr*)text, 16), SYS_connect, null, text, 16L);
  SAME(bind(999, (struct sockaddr*)text, 16), SYS_bind, 999L, text, 16L);
  SAME(send(null, text, 1, 0), SYS_sendto, null, text, 1L, 0L, NULL, 0L);
  SAME(recv(999, text, 1, 0), SYS_recvfrom, 999L, text, 1L, 0L, NULL, NULL);
  SAME(sendmsg(null, nowhere, 0), SYS_sendmsg, null, nowhere, 0L);
  SAME(recvmsg(null, nowhere, 0), SYS_recvmsg, null, nowhere, 0L);
  SAME(shutdown(null, SHUT_RD), SYS_shutdown, null, (long)SHUT_RD);
  SAME(pipe(nowhere), SYS_pipe, nowhere);
  SAME(pipe2(nowhere, O_CLOEXEC), SYS_pipe2, nowhere, (long)O_CLOEXEC);
  SAME(epoll_create1(77), SYS_epoll_create1, 77L);
  SAME(epoll_ctl(null, EPOLL_CTL_ADD, zero, NULL), SYS_epoll_ctl, null, (long)EPOLL_CTL_ADD, zero,
       NULL);
  struct epoll_event event;
  SAME(epoll_wait(999, &event, 1, 0), SYS_epoll_wait, 999L, &event, 1L, 0L);
  SAME(epoll_wait(null, &event, 1, 0), SYS_epoll_wait, null, &event, 1L, 0L);
  struct pollfd polled = {null, POLLOUT, 0};
  SAME(poll(&polled, 1, 0), SYS_poll, &polled, 1L, 0L);
  SAME(poll(nowhere, 1, 0), SYS_poll, nowhere, 1L, 0L);
  fd_set set;
  struct timeval no_time = {0, 0};
  FD_ZERO(&set);
  SAME(select(-1, &set, NULL, NULL, &no_time), SYS_select, -1L, &set, NULL, NULL, &no_time);
  SAME(eventfd(0, 12345), SYS_eventfd2, 0L, 12345L);
  SAME(inotify_init1(12345), SYS_inotify_init1, 12345L);
  SAME(timerfd_create(99, 0), SYS_timerfd_create, 99L, 0L);
  SAME(timerfd_settime(null, 0, NULL, NULL), SYS_timerfd_settime, null, 0L, NULL, NULL);

  SAME(getpid(), SYS_getpid);
  SAME(getppid(), SYS_getppid);
  SAME(gettid(), SYS_gettid);
  SAME(getuid(), SYS_getuid);
  SAME(geteuid(), SYS_geteuid);
  SAME(getgid(), SYS_getgid);
  SAME(getpgid(0), SYS_getpgid, 0L);
  SAME(getsid(0), SYS_getsid, 0L);
  SAME(getpgid(-5), SYS_getpgid, -5L);
  SAME(getpriority(77, 0), SYS_getpriority, 77L, 0L);
  SAME(kill(getpid(), 0), SYS_kill, getpid(), 0L);
  SAME(kill(getpid(), 999), SYS_kill, getpid(), 999L);
  SAME(waitpid(1, NULL, WNOHANG), SYS_wait4, 1L, NULL, (long)WNOHANG, NULL);
  SAME(sched_yield(), SYS_sched_yield);
  SAME(sched_get_priority_max(SCHED_FIFO), SYS_sched_get_priority_max, (long)SCHED_FIFO);
  SAME(sched_get_priority_max(77), SYS_sched_get_priority_max, 77L);
  SAME(sched_getscheduler(0), SYS_sched_getscheduler, 0L);
  struct rlimit limit;
  SAME(getrlimit(RLIMIT_NOFILE, &limit), SYS_getrlimit, (long)RLIMIT_NOFILE, &limit);
  SAME(getrlimit(999, &limit), SYS_getrlimit, 999L, &limit);
  struct rusage usage;
  SAME(getrusage(RUSAGE_SELF, &usage), SYS_getrusage, (long)RUSAGE_SELF, &usage);
  SAME(getrusage(99, &usage), SYS_getrusage, 99L, &usage);
  struct utsname names;
  SAME(uname(&names), SYS_uname, &names);
  struct sysinfo info;
  SAME(sysinfo(&info), SYS_sysinfo, &info);
  struct timespec time = {0, -1};
  errno = 0;
  SAME(nanosleep(&time, NULL), SYS_nanosleep, &time, NULL);
  SAME(clock_settime(12345, &time), SYS_clock_settime, 12345L, &time);
  SAME(clock_getres(12345, &time), SYS_clock_getres, 12345L, &time);
  struct itimerval timer;
  SAME(getitimer(99, &timer), SYS_getitimer, 99L, &timer);
  SAME(munmap(nowhere, 10), SYS_munmap, nowhere, 10L);
  SAME(mprotect(nowhere, 10, 0), SYS_mprotect, nowhere, 10L, 0L);
  SAME(madvise(nowhere, 4096, 4), SYS_madvise, nowhere, 4096L, 4L);
  SAME(msync((void*)4096, 4096, MS_SYNC), SYS_msync, 4096L, 4096L, (long)MS_SYNC);
  SAME(mlock((void*)4096, 4096), SYS_mlock, 4096L, 4096L);
  close(file);
  close(null);
  close(zero);
  return NULL;
}

int main(void) {
  compares(NULL);
  enum { kThreads = 3 };
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(compares, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK(compared > 0);
  pass("wrappers agree with the calls");
  return 0;
}
