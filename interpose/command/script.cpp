#include "interpose/command/script.hpp"

#include <array>
#include <vector>

namespace tendril::command {
namespace {

constexpr std::string_view kBlanks = " \t";

// The words of an env -S string: quotes, backslashes, comments and ${NAME} as env reads them.
class SplitString {
 public:
  SplitString(std::string_view text, const Environment& environment)
      : text_(text), environment_(environment) {}

  std::vector<std::string> words() {
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '\\' && quote_ != '\'') {
        if (!escape()) break;
      } else if (quote_ != 0 ? c == quote_ : (c == '"' || c == '\'')) {
        quote_ = quote_ != 0 ? '\0' : c;
        in_word_ = true;
      } else if (c == '$' && quote_ != '\'') {
        expand();
      } else if (quote_ == 0 && std::string_view(" \t\n\v\f\r").find(c) != std::string_view::npos) {
        finish_word();
      } else if (quote_ == 0 && !in_word_ && c == '#') {
        break;
      } else {
        add(c);
      }
    }
    finish_word();
    return std::move(words_);
  }

 private:
  void add(char c) {
    word_ += c;
    in_word_ = true;
  }

  void finish_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  // False where \c ends the string.
  bool escape() {
    if (++at_ >= text_.size()) return false;
    switch (char c = text_[at_]) {
      case 'c':
        return false;
      case '_':
        quote_ == 0 ? finish_word() : add(' ');
        break;
      case 'f':
        add('\f');
        break;
      case 'n':
        add('\n');
        break;
      case 'r':
        add('\r');
        break;
      case 't':
        add('\t');
        break;
      case 'v':
        add('\v');
        break;
      default:
        add(c);
    }
    return true;
  }

  void expand() {
    size_t end = text_.find('}', at_);
    if (end == std::string_view::npos || at_ + 1 >= text_.size() || text_[at_ + 1] != '{') {
      add('$');  // env itself will complain
      return;
    }
    word_ += lookup(environment_, text_.substr(at_ + 2, end - at_ - 2)).value_or("");
    in_word_ = true;
    at_ = end;
  }

  std::string_view text_;
  const Environment& environment_;
  std::vector<std::string> words_;
  std::string word_;
  size_t at_ = 0;
  char quote_ = '\0';     // the quote we are in
  bool in_word_ = false;  // "" is a word though nothing was added
};

// What follows -S in the argument, whose short options may be bundled ("-iS prog").
std::optional<std::string_view> split_string_of(std::string_view argument) {
  constexpr std::string_view kLong = "--split-string";
  if (argument.starts_with(kLong)) {
    argument.remove_prefix(kLong.size());
    if (!argument.empty() && (argument.front() == '=' || argument.front() == ' '))
      argument.remove_prefix(1);
    return argument;
  }
  if (!argument.starts_with("-")) return std::nullopt;
  size_t letter = argument.find_first_not_of("i0v", 1);
  if (letter == std::string_view::npos || argument[letter] != 'S') return std::nullopt;
  return argument.substr(letter + 1);
}

bool takes_next_word(std::string_view option) {
  constexpr std::array kOptions = {"-u", "--unset", "-C", "--chdir"};
  for (std::string_view name : kOptions)
    if (option == name) return true;
  return false;
}

}  // namespace

std::optional<Shebang> parse_shebang(std::string_view head) {
  // The kernel's load_script, step by step: its buffer is filled up with NULs.
  if (!head.starts_with("#!")) return std::nullopt;
  head = head.substr(0, kHeadBytes);
  std::string_view line = head.substr(2);
  size_t newline = line.find('\n');
  if (newline != std::string_view::npos) {
    line = line.substr(0, newline);
  } else if (head.size() == kHeadBytes) {
    // Cut off: an argument may be, a name may not.
    size_t name = line.find_first_not_of(kBlanks);
    if (name == std::string_view::npos) return std::nullopt;
    if (line.find_first_of(std::string_view(" \t\0", 3), name) == std::string_view::npos)
      return std::nullopt;
  }
  size_t last = line.find_last_not_of(kBlanks);
  if (last == std::string_view::npos) return std::nullopt;
  line = line.substr(0, last + 1);
  line.remove_prefix(line.find_first_not_of(kBlanks));
  // The strings are C strings from here on.
  line = line.substr(0, line.find('\0'));
  if (line.empty()) return std::nullopt;

  Shebang shebang;
  size_t name_end = line.find_first_of(kBlanks);
  shebang.interpreter = line.substr(0, name_end);
  if (name_end == std::string_view::npos) return shebang;
  size_t argument = line.find_first_not_of(kBlanks, name_end);
  if (argument != std::string_view::npos) shebang.argument = line.substr(argument);
  return shebang;
}

bool looks_like_text(std::string_view head) {
  std::string_view first_line = head.substr(0, head.find('\n'));
  return first_line.find('\0') == std::string_view::npos;
}

std::optional<EnvCommand> parse_env_argument(std::string_view argument,
                                             const Environment& environment) {
  std::vector<std::string> words;
  if (std::optional<std::string_view> text = split_string_of(argument)) {
    words = SplitString(*text, environment).words();
  } else {
    words.emplace_back(argument);
  }

  EnvCommand command;
  bool options_end = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!options_end && word.starts_with("-")) {
      if (word == "--") options_end = true;
      if (takes_next_word(word)) ++i;
    } else if (size_t equals = word.find('='); equals != std::string::npos) {
      options_end = true;
      if (word.substr(0, equals) == "PATH") command.path = word.substr(equals + 1);
    } else {
      command.program = word;
      return command;
    }
  }
  return std::nullopt;
}

}  // namespace tendril::command
