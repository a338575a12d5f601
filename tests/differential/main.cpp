// differential FIRST COUNT: runs the programs of the seeds FIRST, FIRST + 1, … and prints what each
// has done. It knows nothing of Tendril: run it natively and green and compare (compare.py).
//
//   --settle MICROSECONDS  how long a thread is given to go on (performer.hpp)
//   --steps I,J,…          only these steps of the programs
//   --jobs N               programs at the same time
//   --threaded             the process that starts them has had a second thread
//   --lie-about CALL       writes results of that call down wrong, for the tester's own test
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "program.hpp"

namespace {

using namespace differential;

constexpr int kSecondsEach = 30;

struct Job {
  pid_t pid = 0;
  uint64_t seed = 0;
  time_t since = 0;
  Transcript* transcript = nullptr;
  std::string directory;
};

int remove_one(const char* path, const struct stat*, int, struct FTW*) {
  remove(path);
  return 0;
}

time_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

[[noreturn]] void be_program(const Job& job, const Options& options) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (chdir(job.directory.c_str()) != 0) _exit(99);
  // No file is shared with other programs: there may be locks on it.
  const int standard = open("standard", O_RDWR | O_CREAT, 0600);
  for (int fd = 0; fd < 3; ++fd) dup2(standard, fd);
  if (standard > 2) close(standard);
  umask(0);
  run_program(job.seed, options, *job.transcript);
  _exit(0);
}

void start(Job& job, uint64_t seed, const std::string& base, const Options& options) {
  job.seed = seed;
  job.since = now();
  job.transcript->clear();
  job.directory = base + "/" + std::to_string(seed);
  mkdir(job.directory.c_str(), 0700);
  job.pid = fork();
  if (job.pid == 0) be_program(job, options);
  if (job.pid < 0) {
    perror("fork");
    exit(3);
  }
}

std::string end(Job& job, int status, bool late) {
  nftw(job.directory.c_str(), remove_one, 16, FTW_DEPTH | FTW_PHYS);
  std::string text = "== " + std::to_string(job.seed) + "\n";
  text.append(job.transcript->text(), job.transcript->size());
  if (late) {
    text += "did not end\n";
  } else if (WIFSIGNALED(status)) {
    text += "killed by signal " + std::to_string(WTERMSIG(status)) + "\n";
  } else if (WEXITSTATUS(status) != 0) {
    text += "exit status " + std::to_string(WEXITSTATUS(status)) + "\n";
  }
  job.pid = 0;
  return text;
}

std::vector<int> list_of(const char* text) {
  std::vector<int> list;
  for (char* end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
    list.push_back(static_cast<int>(strtol(text, &end, 10)));
    if (end == text) exit(2);
  }
  return list;
}

void* do_nothing(void* argument) { return argument; }

}  // namespace

int main(int count, char** arguments) {
  Options options;
  unsigned jobs = 1;
  bool threaded = false;
  std::vector<uint64_t> numbers;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const char* value = i + 1 < count ? arguments[i + 1] : "";
    if (argument == "--settle")
      options.settle_us = atoi(value), ++i;
    else if (argument == "--steps")
      options.only = list_of(value), ++i;
    else if (argument == "--jobs")
      jobs = static_cast<unsigned>(atoi(value)), ++i;
    else if (argument == "--lie-about")
      options.lie_about = value, ++i;
    else if (argument == "--threaded")
      threaded = true;
    else
      numbers.push_back(strtoull(arguments[i], nullptr, 10));
  }
  if (numbers.size() != 2 || jobs < 1) {
    fprintf(stderr, "usage: differential [option...] FIRST COUNT\n");
    return 2;
  }
  // System V and POSIX objects of a program that is killed go with the namespace, where one may
  // have one of one's own.
  unshare(CLONE_NEWIPC);
  if (threaded) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, do_nothing, nullptr) != 0) return 3;
    pthread_join(thread, nullptr);
  }
  const char* memory_directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  std::string base = std::string(memory_directory) + "/differential.XXXXXX";
  if (mkdtemp(base.data()) == nullptr) return 3;

  std::vector<Job> running(jobs);
  for (Job& job : running) {
    void* memory = mmap(nullptr, sizeof(Transcript), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 3;
    job.transcript = new (memory) Transcript;
  }
  uint64_t next = numbers[0];
  const uint64_t last = numbers[0] + numbers[1];
  uint64_t to_print = next;
  std::map<uint64_t, std::string> finished;
  for (bool busy = true; busy;) {
    busy = false;
    bool progress = false;
    for (Job& job : running) {
      if (job.pid != 0) {
        int status = 0;
        const bool late = now() - job.since > kSecondsEach;
        if (late) kill(job.pid, SIGKILL);
        if (waitpid(job.pid, &status, late ? 0 : WNOHANG) == job.pid) {
          finished[job.seed] = end(job, status, late);
          progress = true;
        }
      }
      if (job.pid == 0 && next < last) {
        start(job, next++, base, options);
        progress = true;
      }
      busy = busy || job.pid != 0;
    }
    while (!finished.empty() && finished.begin()->first == to_print) {
      fputs(finished.begin()->second.c_str(), stdout);
      finished.erase(finished.begin());
      ++to_print;
    }
    if (!progress) {
      const timespec t = {0, 1000000};
      nanosleep(&t, nullptr);
    }
  }
  nftw(base.c_str(), remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}
