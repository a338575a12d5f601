// tendril-stacks PID: prints stacks of threads of a process that waits for this program to end.
//
// The threads come on standard input, a line each: tid, ip, sp, bp (in decimal) and name. They are
// green: the Linux kernel does not know them, so their registers are given and their memory is read
// through /proc/PID/mem. Started by the shim for the verdict on a deadlock; not for people.
#include <cxxabi.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr unsigned kTimeLimit = 20;  // seconds: the process waits for us
constexpr int kMostFrames = 64;

struct Thread {
  pid_t tid = 0;
  Dwarf_Addr ip = 0, sp = 0, bp = 0;
  std::string name;
};

struct Process {
  pid_t pid = 0;
  int memory = -1;
  std::vector<Thread> threads;
  size_t next = 0;
};

std::vector<Thread> read_threads(std::istream& in) {
  std::vector<Thread> threads;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Thread thread;
    if (!(words >> thread.tid >> thread.ip >> thread.sp >> thread.bp)) continue;
    std::getline(words >> std::ws, thread.name);
    threads.push_back(thread);
  }
  return threads;
}

// --- what libdwfl asks about the process ---

pid_t next_thread(Dwfl*, void* argument, void** thread_argument) {
  auto* process = static_cast<Process*>(argument);
  if (process->next == process->threads.size()) return 0;
  Thread& thread = process->threads[process->next++];
  *thread_argument = &thread;
  return thread.tid;
}

bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* word, void* argument) {
  return pread(static_cast<Process*>(argument)->memory, word, sizeof *word,
               static_cast<off_t>(address)) == sizeof *word;
}

// The stack pointer, the frame pointer and the place are enough to find callers: none of these
// frames keeps the way back in another register.
bool set_registers(Dwfl_Thread* thread, void* argument) {
  constexpr int kRbp = 6;  // DWARF's numbers
  const auto* start = static_cast<Thread*>(argument);
  const Dwarf_Word rbp_and_rsp[] = {start->bp, start->sp};
  if (!dwfl_thread_state_registers(thread, kRbp, 2, rbp_and_rsp)) return false;
  dwfl_thread_state_register_pc(thread, start->ip);
  return true;
}

constexpr Dwfl_Thread_Callbacks kThreadCallbacks = {next_thread,   nullptr, read_memory,
                                                    set_registers, nullptr, nullptr};

// --- output ---

std::string readable(const char* symbol) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string text = status == 0 ? demangled : symbol;
  std::free(demangled);
  return text;
}

std::string describe(Dwfl* dwfl, Dwarf_Addr pc) {
  char address[32];
  std::snprintf(address, sizeof address, "0x%" PRIx64, pc);
  std::string text = address;
  Dwfl_Module* module = dwfl_addrmodule(dwfl, pc);
  if (module == nullptr) return text;
  GElf_Off offset = 0;
  GElf_Sym symbol;
  if (const char* name =
          dwfl_module_addrinfo(module, pc, &offset, &symbol, nullptr, nullptr, nullptr)) {
    text += " in " + readable(name);
  }
  int line = 0;
  if (Dwfl_Line* source = dwfl_module_getsrc(module, pc)) {
    if (const char* file = dwfl_lineinfo(source, nullptr, &line, nullptr, nullptr, nullptr))
      return text + " at " + file + ":" + std::to_string(line);
  }
  Dwarf_Addr start = 0;
  const char* file =
      dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
  std::snprintf(address, sizeof address, "+0x%" PRIx64, pc - start);
  return text + " (" + (file != nullptr ? file : "?") + address + ")";
}

struct Printing {
  Dwfl* dwfl;
  int frame;
};

int print_frame(Dwfl_Frame* frame, void* argument) {
  auto* printing = static_cast<Printing*>(argument);
  Dwarf_Addr pc = 0;
  bool exact = false;  // false: a return address, which may belong to the next line already
  if (!dwfl_frame_pc(frame, &pc, &exact)) return DWARF_CB_ABORT;
  const Dwarf_Addr within = exact && printing->frame > 0 ? pc : pc - 1;
  std::fprintf(stderr, "tendril:     #%d %s\n", printing->frame,
               describe(printing->dwfl, within).c_str());
  return ++printing->frame < kMostFrames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

int print_thread(Dwfl_Thread* dwfl_thread, void* argument) {
  auto* process = static_cast<Process*>(argument);
  const Thread& thread = process->threads[process->next - 1];
  std::fprintf(stderr, "tendril:   stack of thread %d \"%s\"\n", thread.tid, thread.name.c_str());
  Printing printing{dwfl_thread_dwfl(dwfl_thread), 0};
  dwfl_thread_getframes(dwfl_thread, print_frame, &printing);
  return DWARF_CB_OK;
}

int fail(const char* what, const char* why) {
  std::fprintf(stderr, "tendril:   no stacks: %s: %s\n", what, why);
  return 0;  // said; the shim has nothing to add
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: tendril-stacks PID; the shim runs it\n", stderr);
    return 2;
  }
  // The shim starts us with every signal blocked.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  alarm(kTimeLimit);
  setvbuf(stderr, nullptr, _IOLBF, BUFSIZ);

  Process process;
  process.pid = static_cast<pid_t>(std::atoi(arguments[1]));
  process.threads = read_threads(std::cin);
  const std::string memory = "/proc/" + std::string(arguments[1]) + "/mem";
  process.memory = open(memory.c_str(), O_RDONLY | O_CLOEXEC);
  if (process.memory < 0) return fail(memory.c_str(), std::strerror(errno));

  const Dwfl_Callbacks callbacks = {dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo, nullptr,
                                    nullptr};
  Dwfl* dwfl = dwfl_begin(&callbacks);
  if (dwfl == nullptr || dwfl_linux_proc_report(dwfl, process.pid) != 0 ||
      dwfl_report_end(dwfl, nullptr, nullptr) != 0 ||
      !dwfl_attach_state(dwfl, nullptr, process.pid, &kThreadCallbacks, &process)) {
    return fail("libdwfl", dwfl_errmsg(-1));
  }
  dwfl_getthreads(dwfl, print_thread, &process);
  dwfl_end(dwfl);
  return 0;
}
