// Which errors the Linux kernel may give at which system call, and where nobody may see them.
//
// Only what a kernel could answer in earnest is here. What has to agree with the kernel's state is
// left out: an EAGAIN of a socket that has data (no edge would ever follow), a connect that fails
// with EINTR and has not begun, a short read of a TCP socket with more to come.
#ifndef TENDRIL_TESTS_FAULTS_CATALOGUE_H_
#define TENDRIL_TESTS_FAULTS_CATALOGUE_H_

#include <cstdint>
#include <vector>

namespace faults {

// A set of faults, chosen by name on the command line.
enum Group : unsigned {
  kResources = 1,   // no memory, descriptors, threads or timers
  kInterrupts = 2,  // EINTR without a signal for the program: nobody may see it
  kTransfers = 4,   // no buffers, full disks, connections aborted before they are accepted
  kShort = 8,       // less transferred than asked for
  kResets = 16,     // connections reset
  kRings = 32,      // no ring, or one that takes nothing now: the runtime does without
};

// What a descriptor must be for the fault to be one that the kernel could give.
enum Kind : unsigned {
  kAnything = ~0U,
  kPipe = 1,
  kStream = 2,  // a stream socket that is not of TCP
  kTcp = 4,
  kOtherSocket = 8,
  kFile = 16,
  kOtherKind = 32,
  kStreams = kStream | kTcp,
  kSockets = kStreams | kOtherSocket,
  kWaitable = kPipe | kSockets,
};

struct Fault {
  int call;
  Group group;
  int error;       // 0: a short transfer
  unsigned kinds;  // of the descriptor, the first argument
  // Of an argument: the fault applies where (argument & mask) == value. -1: to all.
  int argument = -1;
  uint64_t mask = 0;
  uint64_t value = 0;
};

const std::vector<Fault>& catalogue();
const char* call_name(int call);

}  // namespace faults

#endif  // TENDRIL_TESTS_FAULTS_CATALOGUE_H_
