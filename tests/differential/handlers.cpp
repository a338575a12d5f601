#include "handlers.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace differential {

const int kEndingSignal = SIGWINCH;

namespace {

uint64_t restorer;
thread_local Handled* handled;
thread_local int thread_number = -1;

struct KernelAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

void handle(int signal, siginfo_t* info, void*) {
  // Which thread takes a signal of the process is written down, too: there is only one that may.
  uint64_t blocked = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &blocked, sizeof blocked);
  stack_t stack;
  sigaltstack(nullptr, &stack);
  const bool from_us = info->si_pid == getpid();
  const bool sent = info->si_code <= 0 && info->si_code != SI_TIMER;
  handled->add(
      "    handler: signal %d code %d value %d %s on thread %d, blocked %#llx%s\n", signal,
      // Of several SIGCHLD that come as one, it may tell of any.
      signal == SIGCHLD && info->si_code > 0 ? 1 : info->si_code,
      sent && info->si_code != SI_USER && info->si_code != SI_TKILL ? info->si_value.sival_int : 0,
      sent && from_us ? "from us" : "", thread_number, static_cast<unsigned long long>(blocked),
      (stack.ss_flags & SS_ONSTACK) != 0 ? ", on the other stack" : "");
}

}  // namespace

void Handled::add(const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  // A handler that interrupts another one here takes the place after it.
  const size_t at = used_.fetch_add(static_cast<size_t>(length));
  if (at + static_cast<size_t>(length) <= sizeof text_)
    memcpy(text_ + at, line, static_cast<size_t>(length));
}

std::string Handled::take() {
  const size_t from = taken_;
  taken_ = used_.load();
  return from < sizeof text_ ? std::string(text_ + from, taken_ - from) : std::string();
}

void set_up_handlers() {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  if (sigaction(kEndingSignal, &action, nullptr) != 0) abort();
  // glibc's restorer, which a raw rt_sigaction must name.
  KernelAction raw;
  if (syscall(SYS_rt_sigaction, kEndingSignal, nullptr, &raw, sizeof(uint64_t)) != 0) abort();
  restorer = raw.restorer;
}

void set_handled(Handled* where, int number) {
  handled = where;
  thread_number = number;
}

uint64_t handler_address() { return reinterpret_cast<uint64_t>(&handle); }
uint64_t restorer_address() { return restorer; }

}  // namespace differential
