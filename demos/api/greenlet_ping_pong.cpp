// Two coroutines that switch to each other: greenlet's first example.
//
// Prints 12, 56, 34. test1 ends after 34, so control returns to main; 78 is never printed, and gr2,
// which waits for ever in its switch, is ended when the last reference to it goes away.
#include <tendril/tendril.hpp>

#include <cstdio>

using tendril::Greenlet;

Greenlet gr1;
Greenlet gr2;

void test1() {
  std::puts("12");
  gr2.switch_to();
  std::puts("34");
}

void test2() {
  std::puts("56");
  gr1.switch_to();
  std::puts("78");
}

int main() {
  gr1 = Greenlet(test1);
  gr2 = Greenlet(test2);
  gr1.switch_to();
  gr2 = Greenlet();
}
