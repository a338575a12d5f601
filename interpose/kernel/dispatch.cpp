#include "interpose/kernel/dispatch.hpp"

#include <cerrno>
#include <type_traits>
#include <utility>

#include "interpose/kernel/filtered_call.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

template <typename T>
T from_register(long value) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

// Calls a typed sys_ function with the registers of a call.
template <auto Function>
struct Bind;

template <typename... Args, long (*Function)(Args...)>
requires(!(std::is_same_v<Args, Call&> || ...)) struct Bind<Function> {
  static long call(Call& call) { return with_indices(call, std::index_sequence_for<Args...>{}); }
  template <size_t... I>
  static long with_indices(Call& call, std::index_sequence<I...>) {
    return Function(from_register<Args>(call.arguments[I])...);
  }
};

template <long (*Function)(Call&)>
struct Bind<Function> {
  static long call(Call& call) { return Function(call); }
};

template <auto Function>
constexpr SyscallFunction bind() noexcept {
  if constexpr (std::is_null_pointer_v<decltype(Function)>) {
    return nullptr;
  } else {
    return Bind<Function>::call;
  }
}

}  // namespace

namespace {

constexpr long kRows = 512;

// Apart, and nothing else in them: the loader has to relocate each pointer in every program that is
// started, and so writes to each page that has one.
struct Table {
  SyscallFunction functions[kRows] = {};
  Verdict verdicts[kRows] = {};
};

constexpr Table make_table() noexcept {
  Table table;
  for (Verdict& verdict : table.verdicts) verdict = Verdict::kPass;
#define ROW(number, name, verdict, function, reason) \
  table.functions[number] = bind<function>();        \
  table.verdicts[number] = Verdict::verdict;
#include "interpose/kernel/syscalls.def"
#undef ROW
  return table;
}

constexpr Table kTable = make_table();

constexpr bool is_row(long number) noexcept { return number >= 0 && number < kRows; }

}  // namespace

Verdict verdict_of(long number) noexcept {
  return is_row(number) ? kTable.verdicts[number] : Verdict::kPass;
}

SyscallFunction function_of(long number) noexcept {
  return is_row(number) ? kTable.functions[number] : nullptr;
}

long pass(const Call& call) noexcept {
  const long* a = call.arguments;
  for (;;) {
    const long result = rt::raw_syscall6(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result != -EINTR) return result;
    if (attention_needed()) return -kRestartSys;
  }
}

namespace {

bool is_transfer(long number) noexcept {
  switch (number) {
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_accept:
    case SYS_accept4:
      return true;
    default:
      return false;
  }
}

}  // namespace

long dispatch(Call& call) noexcept {
  rt::switch_point();
  // A hook makes a call again whose wait a signal has interrupted, for the frame of a trap: it ends
  // by that signal, though its descriptor may not have to be waited for any more.
  const GreenThread* thread = current_thread();
  if (thread->hold_delivery && is_transfer(call.number)) return -kRestartSys;
  long result;
  if (const SyscallFunction function = function_of(call.number); function != nullptr) {
    result = function(call);
  } else {
    ++rt::current_worker_unchecked()->stats.calls_passed;
    result = pass(call);
  }
  if (thread->filtered.happened) [[unlikely]]
    return settle_filtered_call(call);
  return result;
}

}  // namespace tendril::kernel
