// The C++ side of a patched site.
#include "interpose/patch/patched_call.hpp"

#include <cpuid.h>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/patch/layout.h"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/selector.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/platform/syscall.hpp"

static_assert(DELIVER_NUMBER == tendril::trap::kDeliverNumber);

extern "C" {
__attribute__((visibility("hidden"))) uint8_t tendril_call_class[CALL_CLASSES];
__attribute__((visibility("hidden"))) uint64_t tendril_vector_area;  // bytes
__attribute__((visibility("hidden"))) uint8_t tendril_vectors_told;  // XINUSE can be asked
__attribute__((visibility("hidden"))) uint8_t tendril_has_avx;
}

namespace tendril::patch {

struct Frame {  // as entry.S pushes it
  long r15, r14, r13, r12, rbx;
  long number_and_result;
  long rdi, rsi, rdx, r10, r8, r9;
  const uint64_t* record;  // R11; its first word: where the program goes on
  uint64_t rbp;
  uint64_t flags;
  char red_zone[128];
  char program_stack[1];  // where RSP was
};

namespace {

// XCR0.
uint64_t enabled_components() noexcept {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Not by the compiler's own table, which would be filled in every process: CPUID is dear in a
// virtual machine.
bool has_avx512bw() noexcept {
  constexpr unsigned kAvx512bw = 1U << 30;
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & kAvx512bw) != 0;
}

uint8_t class_of(long number) noexcept {
  switch (number) {
    case SYS_clone:
    case SYS_clone3:
      return CALL_CLONE;
    case SYS_fork:
    case SYS_vfork:
    case SYS_rt_sigreturn:
      return CALL_TRAP;
    default:
      break;
  }
  if (kernel::function_of(number) != nullptr) return CALL_GREEN;
  if (kernel::verdict_of(number) != kernel::Verdict::kPass) return CALL_TRAP;
  return rt::seeded_schedule().is_on() ? CALL_GREEN : CALL_NATIVE;  // there it is a switch point
}

// The program's, as they are after the call.
void collect_registers(const Frame& frame, gregset_t& registers) noexcept {
  registers[REG_R8] = frame.r8;
  registers[REG_R9] = frame.r9;
  registers[REG_R10] = frame.r10;
  registers[REG_R12] = frame.r12;
  registers[REG_R13] = frame.r13;
  registers[REG_R14] = frame.r14;
  registers[REG_R15] = frame.r15;
  registers[REG_RDI] = frame.rdi;
  registers[REG_RSI] = frame.rsi;
  registers[REG_RBP] = static_cast<greg_t>(frame.rbp);
  registers[REG_RBX] = frame.rbx;
  registers[REG_RDX] = frame.rdx;
  registers[REG_RSP] = reinterpret_cast<greg_t>(frame.program_stack);
  registers[REG_RIP] = static_cast<greg_t>(frame.record[0]);
  registers[REG_EFL] = static_cast<greg_t>(frame.flags);
}

// What XSAVEC writes for these. The size that the CPU tells at once is for all that the system has
// enabled: with AMX's tiles 11 KB, on stacks of 16 KB.
uint64_t xsavec_size(uint64_t components) noexcept {
  uint64_t size = 512 + 64;  // x87 and SSE, and the header
  for (unsigned component = 2; component < 63; ++component) {
    if ((components >> component & 1) == 0) continue;
    unsigned eax, ebx, ecx, edx;
    constexpr unsigned kAligned = 1 << 1;
    if (__get_cpuid_count(0xd, component, &eax, &ebx, &ecx, &edx) == 0) continue;
    if ((ecx & kAligned) != 0) size = (size + 63) & ~uint64_t{63};
    size += eax;
  }
  return (size + 63) & ~uint64_t{63};
}

}  // namespace

bool prepare_calls() noexcept {
  if (tendril_vector_area != 0) return true;  // in a parent, by fork
  unsigned eax, ebx, ecx, edx;
  constexpr unsigned kXsavec = 1 << 1, kXgetbv1 = 1 << 2;
  if (__get_cpuid_count(0xd, 1, &eax, &ebx, &ecx, &edx) == 0 || (eax & kXsavec) == 0) return false;
  const uint64_t enabled = enabled_components();
  const uint64_t xsave_size = 64 + xsavec_size(XSAVE_MASK & enabled);
  tendril_vector_area = xsave_size > AREA_SIZE ? xsave_size : AREA_SIZE;
  // Without AVX-512BW there is no move of a whole mask register.
  constexpr uint64_t kAvx = 0x4, kAvx512 = 0xe0;
  tendril_has_avx = (enabled & kAvx) != 0;
  tendril_vectors_told = (eax & kXgetbv1) != 0 && ((enabled & kAvx512) == 0 || has_avx512bw());
  for (long number = 0; number < CALL_CLASSES; ++number) {
    tendril_call_class[number] = class_of(number);
  }
  return true;
}

}  // namespace tendril::patch

// Unless the call is done, the entry traps, for the frame that what is left to do needs.
extern "C" __attribute__((visibility("hidden"))) int tendril_patched_call(
    tendril::patch::Frame* frame) {
  using namespace tendril;
  trap::enter_runtime();
  const long number = frame->number_and_result;
  kernel::Call call{
      number, {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9}, nullptr};
  gregset_t registers;
  if (tendril_call_class[number] == CALL_CLONE) {
    if (!kernel::makes_thread(call)) {
      trap::leave_runtime();
      return CALL_BY_TRAP;
    }
    patch::collect_registers(*frame, registers);
    call.registers = &registers;
  }
  ++rt::current_worker_unchecked()->stats.calls_by_patch;
  kernel::current_thread()->call_site = {
      frame->record[0], reinterpret_cast<uint64_t>(frame->program_stack), frame->rbp};
  const long result = kernel::dispatch(call);
  const bool deliver = kernel::attention_needed_at_end() || kernel::is_restart_code(result);
  kernel::GreenThread* thread = kernel::current_thread();
  thread->held_flags &= ~static_cast<uint32_t>(frame->flags);  // the entry gives those back
  if (deliver) {
    thread->deferred_number = number;
    thread->deferred_result = result;
    thread->hold_delivery = true;
  } else {
    frame->number_and_result = result;
  }
  trap::leave_runtime();
  return deliver ? CALL_DELIVER : CALL_DONE;
}
