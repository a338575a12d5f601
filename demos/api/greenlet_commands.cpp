// A loop that reads as if it blocked for input, fed by the events of a user interface: greenlet's
// second example.
//
// process_commands asks for characters one by one, two calls deep. The user interface calls
// event_keydown for each key. Neither knows of the other: read_next_char jumps out of the loop, and
// the next key jumps back into it.
#include <tendril/tendril.hpp>

#include <any>
#include <cstdio>
#include <string>

using tendril::Greenlet;

Greenlet processor;

char read_next_char() { return std::any_cast<char>(processor.parent().switch_to()); }

void echo_user_input(std::string input) {
  if (input.ends_with('\n')) input.pop_back();
  std::printf("    <<< %s\n", input.c_str());
}

void process_command(const std::string& line) {
  std::printf("(Processing command: %s)\n", line.substr(0, line.size() - 1).c_str());
}

void process_commands() {
  for (;;) {
    std::string line;
    while (!line.ends_with('\n')) line += read_next_char();
    echo_user_input(line);
    if (line == "quit\n") {
      std::puts("Are you sure?");
      const char answer = read_next_char();
      echo_user_input({answer});
      if (answer != 'y') continue;
      std::puts("(Exiting loop.)");
      break;
    }
    process_command(line);
  }
}

void event_keydown(char key) { processor.switch_to(key); }

void user_interface_loop() {
  for (const char key : {'h', 'e', 'l', 'l', 'o', '\n'}) event_keydown(key);
  for (const char key : {'q', 'u', 'i', 't', '\n', 'n'}) event_keydown(key);
  for (const char key : {'b', 'y', 'e', '\n'}) event_keydown(key);
  for (const char key : {'q', 'u', 'i', 't', '\n', 'y'}) event_keydown(key);
}

int main() {
  processor = Greenlet(process_commands);
  processor.switch_to();  // runs to the first read_next_char
  user_interface_loop();
  return processor.dead() ? 0 : 1;
}
