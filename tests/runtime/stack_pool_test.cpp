#include "runtime/memory/stack_pool.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <vector>

namespace rt = tendril::rt;

TEST_CASE("stacks are distinct, writable to their ends, and used again") {
  rt::StackPool pool(20'000);
  CHECK(pool.stack_size() == 20'480);
  std::set<char*> bottoms;
  std::vector<rt::Stack> stacks;
  for (int i = 0; i < 1'000; ++i) {
    const rt::Stack stack = pool.take();
    REQUIRE(stack);
    CHECK(bottoms.insert(stack.bottom).second);
    stack.bottom[0] = 1;
    stack.top()[-1] = 1;
    stacks.push_back(stack);
  }
  CHECK(pool.in_use() == 1'000);
  char* last = stacks.back().bottom;
  for (const rt::Stack& stack : stacks) pool.give_back(stack);
  CHECK(pool.in_use() == 0);
  const rt::Stack again = pool.take();
  CHECK(again.bottom == last);  // the warmest
  pool.give_back(again);
}

TEST_CASE("the guard below a stack is known as one and kills who touches it") {
  rt::StackPool pool(16'384);
  const rt::Stack stack = pool.take();
  CHECK(pool.is_guard(stack.bottom - 1));
  CHECK(pool.is_guard(stack.bottom - 4'096));
  CHECK(!pool.is_guard(stack.bottom));
  CHECK(!pool.is_guard(&pool));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they catch the fault
  const pid_t child = fork();
  if (child == 0) {
    *const_cast<volatile char*>(stack.bottom - 1) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
#endif
  pool.give_back(stack);
}

TEST_CASE("pages of many idle stacks go back to the kernel") {
  rt::StackPool pool(16'384);
  std::vector<rt::Stack> stacks;
  for (int i = 0; i < 3'000; ++i) {
    stacks.push_back(pool.take());
    std::memset(stacks.back().bottom, 1, stacks.back().size);
  }
  for (const rt::Stack& stack : stacks) pool.give_back(stack);
  size_t dropped = 0;
  for (int i = 0; i < 3'000; ++i) {
    const rt::Stack stack = pool.take();
    if (stack.bottom[0] == 0) ++dropped;
    stacks[static_cast<size_t>(i)] = stack;
  }
  CHECK(dropped > 1'000);
  for (const rt::Stack& stack : stacks) pool.give_back(stack);
}
