// Prints stacks of green threads, with names and lines, by a program beside the shim: to read
// debugging information takes memory and locks of the C library, which the threads that stand may
// hold.
#pragma once

#include <cstddef>

#include "interpose/kernel/green_thread.hpp"

namespace tendril::kernel {

// Called when the process becomes green, while libc may be called: finds out where the shim lies.
void find_stack_printer() noexcept;

class StackPrinter {
 public:
  StackPrinter() noexcept;
  ~StackPrinter();
  StackPrinter(const StackPrinter&) = delete;
  StackPrinter& operator=(const StackPrinter&) = delete;

  // Notes a thread that waits and will not go on until print() is over.
  void add(int tid, const char* name, const CallSite& site) noexcept;

  // Runs the program and waits for it; says on stderr if it could not run. On a hub.
  void print() noexcept;

 private:
  int list_;  // a memory file; negative: an errno
};

}  // namespace tendril::kernel
