#include "interpose/kernel/protection_keys.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/syscalls.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// Where the state of the extended registers begins in the frame, and what says that PKRU is not in
// its initial state there, which is 0: all rights.
constexpr size_t kHeaderAt = 512;
constexpr uint64_t kRightsKept = 1 << 9;

size_t rights_at() noexcept {
  constexpr unsigned kComponent = 9;
  unsigned size;
  unsigned offset = 0;
  unsigned c;
  unsigned d;
  __get_cpuid_count(0xd, kComponent, &size, &offset, &c, &d);
  return offset;
}

void set_key_rights_of(ucontext_t* frame, uint32_t rights) noexcept {
  auto* area = reinterpret_cast<char*>(frame->uc_mcontext.fpregs);
  uint64_t kept;
  std::memcpy(&kept, area + kHeaderAt, sizeof kept);
  kept |= kRightsKept;
  std::memcpy(area + kHeaderAt, &kept, sizeof kept);
  std::memcpy(area + rights_at(), &rights, sizeof rights);
}

// Asked without an effect: with a key that exists, that there is no memory at the address is what
// is wrong. A filter of the program's might take offence.
bool has_key(uint32_t key) noexcept {
  return rt::raw_syscall(SYS_pkey_mprotect, nullptr, rt::kPageSize, PROT_NONE, key) != -EINVAL;
}

}  // namespace

uint32_t key_rights_of(const ucontext_t* frame) noexcept {
  const auto* area = reinterpret_cast<const char*>(frame->uc_mcontext.fpregs);
  uint64_t kept;
  std::memcpy(&kept, area + kHeaderAt, sizeof kept);
  if ((kept & kRightsKept) == 0) return 0;
  uint32_t rights;
  std::memcpy(&rights, area + rights_at(), sizeof rights);
  return rights;
}

void import_protection_keys() noexcept {
  if (!rt::has_protection_keys()) return;
  bool in_use = rt::read_key_rights() != rt::kInitialKeyRights;
  if (rt::raw_syscall(SYS_prctl, PR_GET_SECCOMP) == 0) {
    for (uint32_t key = 1; key < rt::kMostKeys && !in_use; ++key) in_use = has_key(key);
  }
  if (in_use) rt::switch_duties.fetch_or(rt::kKeepKeyRights);
}

// The kernel sets the rights to the new key for who asks: in a handler's registers, if that is the
// trap's.
long sys_pkey_alloc(Call& call) {
  const long key = pass(call);
  if (key < 0) return key;
  rt::switch_duties.fetch_or(rt::kKeepKeyRights);
  if (call.frame != nullptr) {
    const uint32_t mask = rt::key_rights_mask(static_cast<uint32_t>(key));
    const uint32_t rights = (key_rights_of(call.frame) & ~mask) | (rt::read_key_rights() & mask);
    set_key_rights_of(call.frame, rights);
    rt::write_key_rights(rights);
  }
  return key;
}

}  // namespace tendril::kernel
