#include "interpose/command/options.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <cctype>
#include <charconv>

#include "interpose/command/refusal.hpp"

namespace tendril::command {
namespace {

constexpr unsigned kMaxWorkers = 1024;
constexpr size_t kPage = 4096;
constexpr size_t kMinStack = 16 * 1024;  // PTHREAD_STACK_MIN of glibc on x86-64
constexpr size_t kMaxStack = size_t{64} << 30;

constexpr char kDescription[] = "Runs an unmodified program with its threads as green threads.";
constexpr char kFooter[] =
    "Options end at the program's name; what follows is the program's own. The variables\n"
    "TENDRIL_WORKERS, TENDRIL_STACK_SIZE, TENDRIL_SEED, TENDRIL_ON_DEADLOCK, TENDRIL_STATS=1 and\n"
    "TENDRIL_VERBOSE=1 are the defaults of the options; TENDRIL_LIBRARY is the shim to preload.\n"
    "To run a program that is called check: tendril -- check.\n\n"
    "--seed is for tests: one worker, no time slices; which thread runs next is a repeatable\n"
    "random choice at every system call and lock operation. A run that fails prints its seed.\n\n"
    "The exit status is the program's own; 2: bad usage, 98: deadlock, with --on-deadlock=exit,\n"
    "126: the program cannot be run green, 127: it is not found. 'tendril check' ends with 0 if\n"
    "this machine and every program named are ready, else with 1.";

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: tendril [options] [--] program [arguments...]\n"
           "       tendril check [program...]\n";
  }
  std::string make_footer(const CLI::App*) const override { return std::string(kFooter) + "\n"; }
};

constexpr std::array<std::string_view, 4> kValueOptions = {"--workers", "--stack-size", "--seed",
                                                           "--on-deadlock"};

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

// CLI11 would take the next word, the program's name perhaps, for the value of "--workers=".
void refuse_empty_values(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with("--") || word == "--") return;
    for (std::string_view option : kValueOptions) {
      if (word == option) ++i;
      if (word == std::string(option) + "=" || i == arguments.size())
        misuse(std::string(option) + ": a value is missing; see tendril --help");
    }
  }
}

// What CLI11 could not place: misspelled options first, then perhaps "--", then the words.
void take_words(const std::vector<std::string>& rest, Options& options) {
  auto word = rest.begin();
  bool separated = word != rest.end() && *word == "--";
  if (separated) {
    ++word;
  } else if (word != rest.end() && word->starts_with("-")) {
    misuse(*word + ": unknown option; see tendril --help");
  }
  options.words.assign(word, rest.end());
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

Options parse_options(const std::vector<std::string>& arguments, const Environment& environment) {
  Options options;
  Settings& settings = options.settings;
  std::string workers, stack_size, seed, on_deadlock;
  refuse_empty_values(arguments);

  CLI::App app(kDescription, "tendril");
  app.formatter(std::make_shared<HelpFormatter>());
  app.prefix_command();
  app.set_help_flag("-h,--help", "Print this and exit");
  app.set_version_flag("--version", "tendril " TENDRIL_VERSION, "Print the version and exit");
  auto* workers_option =
      app.add_option("--workers", workers,
                     "OS threads that run green threads (default: one a usable core)")
          ->type_name("N")
          ->take_last();
  auto* stack_option = app.add_option("--stack-size", stack_size,
                                      "Stack of a green thread: 64K, 1M… (default: the program's)")
                           ->type_name("SIZE")
                           ->take_last();
  auto* seed_option =
      app.add_option("--seed", seed, "Run a schedule that can be repeated (one worker)")
          ->type_name("S")
          ->take_last();
  auto* deadlock_option =
      app.add_option("--on-deadlock", on_deadlock,
                     "When nothing can wake any thread: report (default), or exit with 98")
          ->type_name("WHAT")
          ->take_last();
  auto* stats_flag =
      app.add_flag("--stats", settings.stats, "One line of figures on stderr at the end");
  auto* verbose_flag =
      app.add_flag("--verbose", settings.verbose, "Say on stderr what is interposed and what not");

  // CLI11 wants the words last to first.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    options.action = Action::kPrint;
    options.text = app.help();
    return options;
  } catch (const CLI::CallForVersion& version) {
    options.action = Action::kPrint;
    options.text = std::string(version.what()) + "\n";
    return options;
  } catch (const CLI::ParseError& error) {
    misuse(std::string(error.what()) + "; see tendril --help");
  }
  take_words(app.remaining(), options);

  if (workers_option->count() > 0) {
    settings.workers = parse_workers(workers, "--workers");
  } else if (auto value = variable(environment, "TENDRIL_WORKERS")) {
    settings.workers = parse_workers(*value, "TENDRIL_WORKERS");
  }
  if (stack_option->count() > 0) {
    settings.stack_bytes = parse_stack_size(stack_size, "--stack-size");
  } else if (auto value = variable(environment, "TENDRIL_STACK_SIZE")) {
    settings.stack_bytes = parse_stack_size(*value, "TENDRIL_STACK_SIZE");
  }
  if (seed_option->count() > 0) {
    settings.seed = parse_seed(seed, "--seed");
  } else if (auto value = variable(environment, "TENDRIL_SEED")) {
    settings.seed = parse_seed(*value, "TENDRIL_SEED");
  }
  if (settings.seed) {
    if (settings.workers.value_or(1) != 1)
      misuse("a schedule that can be repeated has one worker, not " +
             std::to_string(*settings.workers) + "; leave --workers or --seed out");
    settings.workers = 1;
  }
  if (deadlock_option->count() > 0) {
    settings.exit_on_deadlock = parse_on_deadlock(on_deadlock, "--on-deadlock");
  } else if (auto value = variable(environment, "TENDRIL_ON_DEADLOCK")) {
    settings.exit_on_deadlock = parse_on_deadlock(*value, "TENDRIL_ON_DEADLOCK");
  }
  if (stats_flag->count() == 0) settings.stats = flag_variable(environment, "TENDRIL_STATS");
  if (verbose_flag->count() == 0) settings.verbose = flag_variable(environment, "TENDRIL_VERBOSE");
  return options;
}

}  // namespace tendril::command
