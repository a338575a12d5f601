// parsers SEED ROUNDS: whatever of ours reads what others wrote (programs, scripts, command lines,
// environments, filters) gets damaged forms of what it expects, under the address and the undefined
// behaviour sanitizers. Nothing is asked of the results but that there are some: a value, or the
// refusal that the parser's header names.
#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "interpose/command/elf_file.hpp"
#include "interpose/command/environment.hpp"
#include "interpose/command/executable.hpp"
#include "interpose/command/options.hpp"
#include "interpose/command/refusal.hpp"
#include "interpose/command/script.hpp"
#include "interpose/kernel/child_environment.hpp"
#include "interpose/kernel/child_program.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/seccomp_filter.hpp"

// What would be said of children that cannot be green is not said here.
namespace tendril::kernel {
Report& Report::text(const char*) noexcept { return *this; }
void Report::send() noexcept {}
}  // namespace tendril::kernel

namespace {

using namespace tendril;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  size_t below(size_t limit) { return static_cast<size_t>(next() % limit); }

 private:
  uint64_t state_;
};

// Damages text as fuzzers do: bytes, lengths, repetitions, words that mean something.
void damage(std::string& text, Random& random, const std::vector<std::string>& words) {
  for (size_t left = 1 + random.below(4); left > 0; --left) {
    const size_t at = random.below(text.size() + 1);
    switch (random.below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.next());
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
        break;
      case 2:
        text.resize(at);
        break;
      case 3:
        text.insert(at, words[random.below(words.size())]);
        break;
      case 4: {
        const std::string part = text.substr(at, random.below(40));
        for (size_t times = random.below(20); times > 0; --times) text.insert(at, part);
        break;
      }
      case 5:
        text.erase(at, random.below(20));
        break;
      default: {  // a number of the file's that is absurd
        const uint64_t values[] = {0, 1, ~uint64_t{0}, 1ULL << 63, 0x7fffffff, 0xffff, text.size()};
        const size_t size = size_t{1} << random.below(4);
        if (at + size <= text.size())
          std::memcpy(text.data() + at, &values[random.below(std::size(values))], size);
        break;
      }
    }
    if (text.size() > 200'000) text.resize(200'000);
  }
}

// A copy that ends where the heap block ends, so that a read beyond it is seen.
std::string tight(const std::string& text) { return {text.begin(), text.end()}; }

template <typename Work>
void allow_refusal(Work&& work) {
  try {
    work();
  } catch (const command::Refusal&) {
  }
}

const std::vector<std::string> kScriptWords = {
    "#!",
    "/usr/bin/env ",
    "-S",
    " -u X",
    "\\c",
    "\\_",
    "\"",
    "'",
    "${HOME}",
    "${",
    "$",
    "\n",
    "\\",
    "PATH=/bin ",
    std::string(1, '\0'),
    "\t",
    "-C",
    "--split-string=",
    "=",
};

void fuzz_script(Random& random) {
  static const std::string seeds[] = {
      "#!/bin/sh\necho\n",
      "#! /usr/bin/env python3\n",
      "#!/usr/bin/env -S PATH=/usr/bin:/bin \"a b\" ${HOME}/x 'y' \\c\n",
  };
  std::string text = seeds[random.below(std::size(seeds))];
  damage(text, random, kScriptWords);
  text = tight(text.substr(0, command::kHeadBytes));
  const command::Environment environment = {"HOME=/root", "X", "=", "PATH=/bin"};
  command::looks_like_text(text);
  if (const auto shebang = command::parse_shebang(text); shebang && shebang->argument) {
    allow_refusal([&] { command::parse_env_argument(*shebang->argument, environment); });
  }
  allow_refusal([&] { command::parse_env_argument(text, environment); });
}

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Most damage to where the structure is.
void damage_elf(std::string& file, Random& random) {
  const std::vector<std::string> words = {std::string(ELFMAG), std::string(8, '\0'),
                                          "/lib64/ld-linux-x86-64.so.2",
                                          "/lib/ld-musl-x86_64.so.1"};
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  const size_t places[] = {0, header.e_phoff, header.e_shoff, random.below(file.size())};
  const size_t sizes[] = {64, size_t{header.e_phnum} * 56, size_t{header.e_shnum} * 64, 256};
  for (size_t left = 1 + random.below(3); left > 0; --left) {
    const size_t which = random.below(std::size(places));
    if (places[which] >= file.size()) continue;
    std::string part = file.substr(places[which], sizes[which]);
    const size_t size = part.size();
    damage(part, random, words);
    part.resize(random.below(8) == 0 ? part.size() : size);
    file.replace(places[which], size, part);
    if (file.size() < sizeof header) break;
  }
}

void fuzz_program(Random& random) {
  static const std::string seed = read_file("/bin/true");
  static const std::string library =
      read_file("/lib/x86_64-linux-gnu/libc.so.6").substr(0, 150'000);
  static const int fd = memfd_create("program", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::string file = random.below(4) != 0 ? seed : library;
  damage_elf(file, random);
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, file.data(), file.size(), 0) != static_cast<ssize_t>(file.size()))
    std::abort();
  command::is_elf(tight(file.substr(0, 64)));
  allow_refusal([&] { command::dynamic_loader(fd, "it"); });
  command::shared_object_defect(path);
  kernel::why_not_green(AT_FDCWD, path.c_str(), 0);
  kernel::why_not_green(fd, "", AT_EMPTY_PATH);
}

const std::vector<std::string> kOptionWords = {
    "--workers",
    "=",
    "-1",
    "99999999999999999999",
    "64K",
    "--seed",
    "--",
    "--stack-size",
    "1G",
    "0x",
    "--on-deadlock",
    "exit",
    "--stats",
    "check",
    "-h",
    "--help",
    "@file",
    "--version",
    "",
    " ",
};

void fuzz_options(Random& random) {
  std::vector<std::string> arguments;
  for (size_t left = random.below(6); left > 0; --left) {
    std::string word = kOptionWords[random.below(kOptionWords.size())];
    if (random.below(2) == 0) damage(word, random, kOptionWords);
    arguments.push_back(word.substr(0, word.find('\0')));
  }
  command::Environment environment;
  for (const char* name : {"TENDRIL_WORKERS=", "TENDRIL_SEED=", "TENDRIL_STACK_SIZE=",
                           "TENDRIL_ON_DEADLOCK=", "TENDRIL_STATS="}) {
    if (random.below(3) != 0) continue;
    std::string value = kOptionWords[random.below(kOptionWords.size())];
    damage(value, random, kOptionWords);
    environment.push_back(name + value);
  }
  allow_refusal([&] { command::parse_options(arguments, environment); });
}

const std::vector<std::string> kVariableWords = {
    "LD_PRELOAD=",
    "GLIBC_TUNABLES=",
    "TENDRIL_",
    "TENDRIL_SEED=1",
    ":",
    " ",
    "=",
    "glibc.pthread.rseq=0",
    "glibc.malloc.check=3",
    "/lib/libtendril-interpose.so",
    "libtendril-switchpoints.so",
    "PATH=/bin",
    "TENDRIL_EVEN=1",
};

std::vector<std::string> random_variables(Random& random) {
  std::vector<std::string> variables;
  for (size_t left = random.below(40); left > 0; --left) {
    std::string variable;
    for (size_t parts = 1 + random.below(4); parts > 0; --parts)
      variable += kVariableWords[random.below(kVariableWords.size())];
    if (random.below(3) == 0) damage(variable, random, kVariableWords);
    if (random.below(30) == 0) variable.append(random.below(20'000), 'x');
    variables.push_back(variable.substr(0, variable.find('\0')));
  }
  return variables;
}

void fuzz_environment(Random& random) {
  command::Environment environment = random_variables(random);
  command::Settings settings;
  if (random.below(2) == 0) settings.seed = random.next();
  if (random.below(2) == 0) settings.workers = 2;
  command::green_environment(environment, "/lib/libtendril-interpose.so", settings);
}

// The list and its strings on pages of their own, which end where they end.
class Strings {
 public:
  explicit Strings(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) list_.push_back(strdup(text.c_str()));
    owned_ = list_;
    list_.push_back(nullptr);
  }
  ~Strings() {
    for (char* text : owned_) free(text);
  }
  Strings(const Strings&) = delete;
  Strings& operator=(const Strings&) = delete;
  char** list() { return list_.data(); }

 private:
  std::vector<char*> owned_;
  std::vector<char*> list_;  // may be edited
};

// What the shim took at its loading is taken once in a process.
void take_environment(Random& random) {
  std::vector<std::string> variables = random_variables(random);
  variables.push_back("LD_PRELOAD=/lib/libtendril-interpose.so:/lib/other.so");
  static Strings strings(variables);
  kernel::take_environment(strings.list());
}

void fuzz_child(Random& random) {
  Strings strings(random_variables(random));
  kernel::ChildPlan plan;
  if (!kernel::plan_child(AT_FDCWD, "/bin/true", 0, strings.list(), &plan)) return;
  const std::vector<char>::size_type size = plan.size;
  auto* memory = static_cast<char*>(std::aligned_alloc(16, (size + 15) & ~size_t{15}));
  char** list = kernel::compose_child_environment(plan, memory);
  size_t length = 0;
  for (char** at = list; at != nullptr && *at != nullptr; ++at) length += std::strlen(*at);
  if (list != nullptr && length == 0) std::abort();  // it has the shim at least
  std::free(memory);
}

void fuzz_filter(Random& random) {
  std::vector<sock_filter> program;
  for (size_t left = 1 + random.below(40); left > 0; --left) {
    const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS,  BPF_JMP | BPF_JEQ | BPF_K,
                              BPF_JMP | BPF_JGT | BPF_X, BPF_RET | BPF_K,
                              BPF_RET | BPF_A,           BPF_ST,
                              BPF_LD | BPF_MEM,          BPF_ALU | BPF_DIV | BPF_X,
                              BPF_JMP | BPF_JA,          static_cast<uint16_t>(random.next())};
    const uint32_t operands[] = {
        0, 4, 16, 60, 64, SECCOMP_RET_ALLOW, ~0U, static_cast<uint32_t>(random.next())};
    program.push_back({codes[random.below(std::size(codes))], static_cast<uint8_t>(random.below(8)),
                       static_cast<uint8_t>(random.next()),
                       operands[random.below(std::size(operands))]});
  }
  kernel::forbidden_by_filter(program.data(), program.size());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const uint64_t seed = std::strtoull(arguments[1], nullptr, 10);
  const uint64_t rounds = std::strtoull(arguments[2], nullptr, 10);
  Random first(seed);
  take_environment(first);
  for (uint64_t round = 0; round < rounds; ++round) {
    // Each round can be had alone; what was at work when a sanitizer speaks is said on stderr.
    static char note[64];
    std::snprintf(note, sizeof note, "seed %llu, round %llu", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(round));
    if (std::getenv("SHOW_ROUNDS") != nullptr) std::fprintf(stderr, "%s\n", note);
    Random random(seed * 1'000'003 + round);
    fuzz_script(random);
    fuzz_program(random);
    fuzz_options(random);
    fuzz_environment(random);
    fuzz_child(random);
    fuzz_filter(random);
  }
  std::puts("every parser came to an end");
  return 0;
}
