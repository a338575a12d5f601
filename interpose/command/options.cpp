#include "interpose/command/options.hpp"

#include <getopt.h>

#include <cctype>
#include <charconv>

#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

constexpr unsigned kMaxWorkers = 1024;
constexpr size_t kPage = 4096;
constexpr size_t kMinStack = 16 * 1024;  // PTHREAD_STACK_MIN of glibc on x86-64
constexpr size_t kMaxStack = size_t{64} << 30;

constexpr char kHelp[] =
    "Runs an unmodified program with its threads as green threads.\n"
    "Usage: tendril [options] [--] program [arguments...]\n"
    "       tendril check [program...]\n\n"
    "Options:\n"
    "  -h, --help          Print this and exit\n"
    "  --version           Print the version and exit\n"
    "  --workers N         OS threads that run green threads (default: one a usable core)\n"
    "  --stack-size SIZE   Stack of a green thread: 64K, 1M… (default: the program's)\n"
    "  --seed S            Run a schedule that can be repeated (one worker)\n"
    "  --on-deadlock WHAT  When nothing can wake any thread: report (default), or exit with 98\n"
    "  --stats             One line of figures on stderr at the end\n"
    "  --verbose           Say on stderr what is interposed and what not\n\n"
    "Options end at the program's name; what follows is the program's own. The variables\n"
    "TENDRIL_WORKERS, TENDRIL_STACK_SIZE, TENDRIL_SEED, TENDRIL_ON_DEADLOCK, TENDRIL_STATS=1 and\n"
    "TENDRIL_VERBOSE=1 are the defaults of the options; TENDRIL_LIBRARY is the shim to preload.\n"
    "To run a program that is called check: tendril -- check.\n\n"
    "--seed is for tests: one worker, no time slices; which thread runs next is a repeatable\n"
    "random choice at every system call and lock operation. A run that fails prints its seed.\n\n"
    "The exit status is the program's own; 2: bad usage, 98: deadlock, with --on-deadlock=exit,\n"
    "126: the program cannot be run green, 127: it is not found. 'tendril check' ends with 0 if\n"
    "this machine and every program named are ready, else with 1.\n";

// getopt_long's: what it returns for a long option, and for one whose value is missing.
enum Option : int {
  kHelpOption = 'h',
  kMissingValue = ':',
  kVersionOption = 256,
  kWorkersOption,
  kStackSizeOption,
  kSeedOption,
  kOnDeadlockOption,
  kStatsOption,
  kVerboseOption,
};

constexpr option kOptions[] = {
    {"help", no_argument, nullptr, kHelpOption},
    {"version", no_argument, nullptr, kVersionOption},
    {"workers", required_argument, nullptr, kWorkersOption},
    {"stack-size", required_argument, nullptr, kStackSizeOption},
    {"seed", required_argument, nullptr, kSeedOption},
    {"on-deadlock", required_argument, nullptr, kOnDeadlockOption},
    {"stats", no_argument, nullptr, kStatsOption},
    {"verbose", no_argument, nullptr, kVerboseOption},
    {nullptr, 0, nullptr, 0},
};

// As written on the line; those that are given several times, the last.
struct Line {
  std::optional<std::string_view> workers, stack_size, seed, on_deadlock;
  bool stats = false;
  bool verbose = false;
};

[[noreturn]] void misuse(const std::string& text) { throw Refusal(kUsageStatus, text); }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// An option may be given as a variable; an empty one counts as not set.
std::optional<std::string_view> variable(const Environment& environment, std::string_view name) {
  std::optional<std::string_view> value = lookup(environment, name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

bool flag_variable(const Environment& environment, std::string_view name) {
  std::optional<std::string_view> value = variable(environment, name);
  if (!value || *value == "0") return false;
  if (*value == "1") return true;
  misuse(std::string(name) + ": " + quoted(*value) + " is neither 0 nor 1; set one of them");
}

const option* known_option(int value) {
  const option* known = kOptions;
  while (known->name != nullptr && known->val != value) ++known;
  return known->name == nullptr ? nullptr : known;
}

// getopt_long takes "--stat" for --stats, until there is a --status as well.
void refuse_abbreviation(std::string_view word, const option& known) {
  if (word.starts_with("--") && word.substr(2, word.find('=') - 2) != known.name)
    misuse(std::string(word) + ": unknown option; is it --" + known.name + "? see tendril --help");
}

[[noreturn]] void refuse_option(const std::string& word) {
  const option* known = optopt == 0 ? nullptr : known_option(optopt);
  if (known != nullptr && known->has_arg == no_argument)
    misuse(word + ": --" + known->name + " takes no value; see tendril --help");
  misuse(word + ": unknown option; see tendril --help");
}

std::string_view value_of(const option& known) {
  if (optarg == nullptr || *optarg == '\0')
    misuse("--" + std::string(known.name) + ": a value is missing; see tendril --help");
  return optarg;
}

// The program's words, or those of check. `separated`: by "--" from the options.
void take_words(std::vector<std::string> words, bool separated, Options& options) {
  options.words = std::move(words);
  if (options.words.empty()) misuse("no program given; say tendril program, or tendril --help");
  if (separated || options.words.front() != "check") return;

  options.action = Action::kCheck;
  options.words.erase(options.words.begin());
  if (options.words.empty()) return;
  if (options.words.front() == "--") {
    options.words.erase(options.words.begin());
  } else if (options.words.front().starts_with("-")) {
    misuse(options.words.front() + ": check takes programs only; see tendril --help");
  }
}

// False if there is nothing to run but a text to print.
bool take_option(int value, const std::string& word, Line& line, Options& options) {
  const option* known = known_option(value == kMissingValue ? optopt : value);
  if (known == nullptr) refuse_option(word);
  refuse_abbreviation(word, *known);
  switch (known->val) {
    case kHelpOption:
      options.text = kHelp;
      return false;
    case kVersionOption:
      options.text = "tendril " TENDRIL_VERSION "\n";
      return false;
    case kWorkersOption:
      line.workers = value_of(*known);
      break;
    case kStackSizeOption:
      line.stack_size = value_of(*known);
      break;
    case kSeedOption:
      line.seed = value_of(*known);
      break;
    case kOnDeadlockOption:
      line.on_deadlock = value_of(*known);
      break;
    case kStatsOption:
      line.stats = true;
      break;
    case kVerboseOption:
      line.verbose = true;
      break;
  }
  return true;
}

// False if there is nothing to run but a text to print.
bool take_line(const std::vector<std::string>& arguments, Line& line, Options& options) {
  std::vector<char*> words = {const_cast<char*>("tendril")};
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  const int count = static_cast<int>(words.size());
  words.push_back(nullptr);

  opterr = 0;
  optind = 0;  // glibc's: start afresh
  for (int at = 1;; at = optind) {
    // '+': options end at the first word that is none; ':': a missing value is told apart.
    const int value = getopt_long(count, words.data(), "+:h", kOptions, nullptr);
    if (value == -1) {
      take_words({words.begin() + optind, words.end() - 1}, optind != at, options);
      return true;
    }
    if (take_option(value, words[at], line, options)) continue;
    options.action = Action::kPrint;
    return false;
  }
}

}  // namespace

unsigned parse_workers(std::string_view text, std::string_view source) {
  unsigned workers = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, workers);
  if (error != std::errc() || stop != end || workers < 1 || workers > kMaxWorkers)
    misuse(std::string(source) + ": " + quoted(text) + " is not a number of workers; give 1 to " +
           std::to_string(kMaxWorkers));
  return workers;
}

uint64_t parse_seed(std::string_view text, std::string_view source) {
  uint64_t seed = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, seed);
  if (error != std::errc() || stop != end)
    misuse(std::string(source) + ": " + quoted(text) + " is not a seed; give 0 to " +
           std::to_string(UINT64_MAX));
  return seed;
}

bool parse_on_deadlock(std::string_view text, std::string_view source) {
  if (text == "report") return false;
  if (text == "exit") return true;
  misuse(std::string(source) + ": " + quoted(text) +
         " is neither report nor exit; give one of them");
}

size_t parse_stack_size(std::string_view text, std::string_view source) {
  auto refuse = [&](const char* why) {
    misuse(std::string(source) + ": " + quoted(text) + why + "; give 16K to 64G, such as 256K");
  };
  size_t size = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, size);
  if (error == std::errc::invalid_argument) refuse(" is not a size");
  unsigned shift = 0;
  if (stop != end) {
    switch (std::toupper(static_cast<unsigned char>(*stop++))) {
      case 'K':
        shift = 10;
        break;
      case 'M':
        shift = 20;
        break;
      case 'G':
        shift = 30;
        break;
      default:
        refuse(" is not a size");
    }
  }
  if (stop != end) refuse(" is not a size");
  if (error != std::errc() || size > (kMaxStack >> shift)) refuse(" is too large");
  size <<= shift;
  if (size < kMinStack) refuse(" is too small");
  return (size + kPage - 1) / kPage * kPage;
}

// The option, else the variable, else nothing.
template <typename Value>
std::optional<Value> setting(std::optional<std::string_view> given, const char* option,
                             const Environment& environment, const char* name,
                             Value (*parse)(std::string_view text, std::string_view source)) {
  if (given) return parse(*given, option);
  if (std::optional<std::string_view> value = variable(environment, name))
    return parse(*value, name);
  return std::nullopt;
}

Options parse_options(const std::vector<std::string>& arguments, const Environment& environment) {
  Options options;
  Line line;
  if (!take_line(arguments, line, options)) return options;

  Settings& settings = options.settings;
  settings.workers =
      setting(line.workers, "--workers", environment, "TENDRIL_WORKERS", parse_workers);
  settings.stack_bytes =
      setting(line.stack_size, "--stack-size", environment, "TENDRIL_STACK_SIZE", parse_stack_size);
  settings.seed = setting(line.seed, "--seed", environment, "TENDRIL_SEED", parse_seed);
  if (settings.seed) {
    if (settings.workers.value_or(1) != 1)
      misuse("a schedule that can be repeated has one worker, not " +
             std::to_string(*settings.workers) + "; leave --workers or --seed out");
    settings.workers = 1;
  }
  settings.exit_on_deadlock = setting(line.on_deadlock, "--on-deadlock", environment,
                                      "TENDRIL_ON_DEADLOCK", parse_on_deadlock)
                                  .value_or(false);
  settings.stats = line.stats || flag_variable(environment, "TENDRIL_STATS");
  settings.verbose = line.verbose || flag_variable(environment, "TENDRIL_VERBOSE");
  return options;
}

}  // namespace tendril::command
