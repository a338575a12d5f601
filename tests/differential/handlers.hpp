// The handlers that programs install; each call of one is a line of the transcript.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace differential {

// What the handlers on one thread have to tell: added to by that thread, taken by the controller.
class Handled {
 public:
  void add(const char* format, ...) __attribute__((format(printf, 2, 3)));
  std::string take();

 private:
  std::atomic<size_t> used_{0};
  size_t taken_ = 0;
  char text_[size_t{64} << 10];
};

void set_up_handlers();
// Of the calling thread.
void set_handled(Handled* handled, int number);

// What to give to rt_sigaction: the address of the handler, and glibc's restorer.
uint64_t handler_address();
uint64_t restorer_address();

// The signal that ends what still waits when a program is over: its handler has no SA_RESTART.
extern const int kEndingSignal;

}  // namespace differential
