// The hooks of hooks.def.
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "interpose/kernel/syscalls.hpp"
#include "interpose/symbols/hook.hpp"
#include "interpose/symbols/libc.hpp"

extern "C" [[noreturn]] void __chk_fail();

// glibc's own names for the fortified variants are declared nowhere.
extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
}

// A buffer that is too small is the C library's to report, before anything is done.
#define checked(wanted, room, call) ((wanted) > (room) ? (__chk_fail(), 0L) : (call))

#define EXPORT extern "C" __attribute__((visibility("default")))

// The functions have names of their own and libc's only for the linker: headers declare some of
// them noexcept, through which thread cancellation could not unwind.
#define CANCELLATION_POINT(result, name, parameters, arguments, call)                    \
  TENDRIL_LIBC_FUNCTION(name)                                                            \
  EXPORT result hook_##name parameters __asm__(#name);                                   \
  result hook_##name parameters {                                                        \
    using namespace tendril::kernel;                                                     \
    const auto libc = TENDRIL_LIBC(name);                                                \
    if (!tendril::symbols::is_program_code()) return libc arguments;                     \
    return tendril::symbols::cancellation_point<result>([&] { return call; },            \
                                                        [&] { return libc arguments; }); \
  }
#define PLAIN(result, name, parameters, arguments, call)                                          \
  TENDRIL_LIBC_FUNCTION(name)                                                                     \
  EXPORT result hook_##name parameters __asm__(#name);                                            \
  result hook_##name parameters {                                                                 \
    using namespace tendril::kernel;                                                              \
    const auto libc = TENDRIL_LIBC(name);                                                         \
    if (!tendril::symbols::is_program_code()) return libc arguments;                              \
    return tendril::symbols::plain<result>([&] { return call; }, [&] { return libc arguments; }); \
  }

#include "interpose/symbols/hooks.def"
