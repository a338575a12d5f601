#include "tracee.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "catalogue.hpp"

namespace faults {

pid_t Tracees::process_of(pid_t tid) {
  if (const auto known = processes_.find(tid); known != processes_.end()) return known->second;
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  pid_t process = tid;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Tgid:", 0) == 0) {
      process = static_cast<pid_t>(std::stol(line.substr(5)));
      break;
    }
  }
  return processes_[tid] = process;
}

void Tracees::ended(pid_t tid) {
  processes_.erase(tid);
  ranges_.erase(tid);
}

bool Tracees::is_of_runtime(pid_t tid, uint64_t instruction) {
  const pid_t process = process_of(tid);
  auto known = ranges_.find(process);
  if (known == ranges_.end()) {
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
    bool runtime = false;
    for (std::string line; std::getline(maps, line);) {
      const size_t name = line.rfind('/');
      if (name == std::string::npos || line.compare(name, 11, "/libtendril") != 0) continue;
      runtime = runtime || line.compare(name, 19, "/libtendril-core.so") == 0;
      unsigned long begin = 0;
      unsigned long end = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2) ranges.emplace_back(begin, end);
    }
    if (!runtime) return false;  // while the loader maps libraries, not all are there
    known = ranges_.emplace(process, std::move(ranges)).first;
  }
  for (const auto& [begin, end] : known->second) {
    if (instruction >= begin && instruction < end) return true;
  }
  return false;
}

// Read from /proc and not through a duplicate of the descriptor, which would keep a socket open,
// and in the epoll sets that it is in, that the program closes meanwhile.
unsigned Tracees::kind_of(pid_t tid, int fd) {
  const std::string process = "/proc/" + std::to_string(process_of(tid));
  char target[64];
  const ssize_t length =
      readlink((process + "/fd/" + std::to_string(fd)).c_str(), target, sizeof target - 1);
  if (length <= 0) return 0;
  target[length] = '\0';
  unsigned long inode = 0;
  if (target[0] == '/') {
    struct stat status;
    if (stat((process + "/fd/" + std::to_string(fd)).c_str(), &status) != 0) return 0;
    if (S_ISFIFO(status.st_mode)) return kPipe;
    return S_ISREG(status.st_mode) ? kFile : kOtherKind;
  }
  if (std::strncmp(target, "pipe:", 5) == 0) return kPipe;
  if (std::sscanf(target, "socket:[%lu]", &inode) != 1) return kOtherKind;
  if (const auto known = sockets_.find(inode); known != sockets_.end()) return known->second;
  // The inode is the tenth column of the one table and the seventh of the other.
  for (const char* table : {"/net/tcp", "/net/tcp6", "/net/unix"}) {
    const bool is_unix = std::strcmp(table, "/net/unix") == 0;
    std::ifstream sockets(process + table);
    for (std::string line; std::getline(sockets, line);) {
      std::istringstream columns(line);
      std::vector<std::string> words;
      for (std::string word; words.size() < 10 && columns >> word;) words.push_back(word);
      const size_t place = is_unix ? 6 : 9;
      if (words.size() <= place || words[place] != std::to_string(inode)) continue;
      const unsigned kind = !is_unix ? kTcp : words[4] == "0001" ? kStream : kOtherSocket;
      return sockets_[inode] = kind;
    }
  }
  return kOtherSocket;  // of TCP and without an address, or of another family
}

}  // namespace faults
