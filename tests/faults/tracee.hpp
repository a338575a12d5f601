// What the injector knows of the processes it traces: whose code makes a call, and what a
// descriptor is.
#ifndef TENDRIL_TESTS_FAULTS_TRACEE_H_
#define TENDRIL_TESTS_FAULTS_TRACEE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace faults {

class Tracees {
 public:
  // True if the call is made by the code of Tendril's libraries. Calls that it passes on untouched
  // from the program count as its own: the program sees what comes of them either way.
  bool is_of_runtime(pid_t tid, uint64_t instruction);
  // The Kind of a descriptor.
  unsigned kind_of(pid_t tid, int fd);
  void executed(pid_t tid) { ranges_.erase(process_of(tid)); }
  void ended(pid_t tid);

 private:
  pid_t process_of(pid_t tid);

  std::map<pid_t, pid_t> processes_;           // by thread
  std::map<unsigned long, unsigned> sockets_;  // kinds, by inode
  std::map<pid_t, std::vector<std::pair<uint64_t, uint64_t>>> ranges_;
};

}  // namespace faults

#endif  // TENDRIL_TESTS_FAULTS_TRACEE_H_
