#include "performer.hpp"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace differential {
namespace {

// Time limits of calls that end by themselves are a few milliseconds.
constexpr int kEndsByItselfUs = 40000;
constexpr int kSurelyAsleepUs = 1000;
constexpr int kGiveUpUs = 10'000'000;
// Descriptors of ours lie beyond those that programs use.
constexpr int kFirstOwnDescriptor = 700;

int64_t now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * int64_t{1000000} + t.tv_nsec / 1000;
}

void pause_us(int microseconds) {
  const timespec t = {0, microseconds * 1000L};
  nanosleep(&t, nullptr);
}

long by_instruction(long number, const long* a) {
  register long r10 asm("r10") = a[3];
  register long r8 asm("r8") = a[4];
  register long r9 asm("r9") = a[5];
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

void wait_for(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) {
  }
}

}  // namespace

Performer::Performer(int number) : number_(number) {
  sem_init(&go_, 0, 0);
  sem_init(&ready_, 0, 0);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, run, this) != 0) abort();
  wait_for(&ready_);
  char name[64];
  snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid_);
  const int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  stat_fd_ = fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwnDescriptor + number);
  close(fd);
}

void* Performer::run(void* self) {
  static_cast<Performer*>(self)->perform();
  return nullptr;
}

void Performer::perform() {
  set_handled(&handled_, number_);
  tid_ = static_cast<int>(syscall(SYS_gettid));
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : kSignals) sigaddset(&mask, signal);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  sem_post(&ready_);
  for (;;) {
    wait_for(&go_);
    const Prepared& call = *pending_;
    const long* a = call.arguments;
    long result;
    phase_.store(Phase::kInCall);
    if (call.by_libc != nullptr) {
      result = call.by_libc(a);
      if (result == -1) result = -errno;
    } else if (call.by_instruction) {
      result = by_instruction(call.number, a);
    } else {
      result = syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
      if (result == -1) result = -errno;
    }
    result_ = result;
    phase_.store(Phase::kDone);
  }
}

char Performer::state() const {
  if (stat_fd_ < 0) return 0;
  char text[512];
  const ssize_t size = pread(stat_fd_, text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* end = strrchr(text, ')');
  return end != nullptr && end[1] == ' ' ? end[2] : 0;
}

void Performer::start(Prepared call) {
  pending_.emplace(std::move(call));
  room_.remember();
  phase_.store(Phase::kTold);
  sem_post(&go_);
}

bool Performer::settle(int microseconds) {
  const int64_t begin = now_us();
  int64_t in_call_since = 0;
  int64_t asleep_since = 0;
  for (unsigned round = 0;; ++round) {
    const Phase phase = phase_.load();
    if (phase == Phase::kDone) return true;
    const int64_t now = now_us();
    if (phase == Phase::kInCall) {
      if (in_call_since == 0) in_call_since = now;
      const int64_t waited = now - in_call_since;
      const int patience = kEndsByItselfUs + microseconds;
      const bool may_wait = !pending_->ends_by_itself || waited > patience;
      const char is = state();
      if (is == 'S') {
        // For a while, with the phase in between: the thread that was woken is not asleep any more.
        // And the Linux kernel says so of who runs, too, while it looks for children, even if it is
        // not to wait for any.
        if (asleep_since == 0) asleep_since = now;
        const bool is_sure = now - asleep_since >= kSurelyAsleepUs;
        if (is_sure && may_wait && phase_.load() == Phase::kInCall) return false;
      } else {
        asleep_since = 0;
        if (is == 0 && may_wait && waited >= microseconds) return phase_.load() == Phase::kDone;
      }
    }
    if (now - begin > kGiveUpUs) return false;
    if (round < 20) {
      sched_yield();
    } else {
      pause_us(round < 60 ? 50 : 500);
    }
  }
}

void Performer::settle_idle(int microseconds) {
  const int64_t begin = now_us();
  for (unsigned asleep = 0; now_us() - begin < kGiveUpUs;) {
    const char is = state();
    if (is == 0) {
      pause_us(microseconds < 900000 ? microseconds : 900000);
      return;
    }
    asleep = is == 'S' ? asleep + 1 : 0;
    if (asleep >= 2) return;
    sched_yield();
  }
}

Prepared Performer::take(long* result) {
  *result = result_;
  Prepared call = std::move(*pending_);
  pending_.reset();
  phase_.store(Phase::kIdle);
  return call;
}

}  // namespace differential
