#include "runtime/context/context.hpp"

#include <cxxabi.h>
#include <doctest/doctest.h>

#include <cerrno>
#include <cfenv>
#include <exception>
#include <stdexcept>
#include <vector>

namespace rt = tendril::rt;

namespace {

rt::Context main_context;
rt::Context other_context;
void (*body)();

void back() { rt::switch_context(other_context, main_context); }

void entry(boost::context::detail::transfer_t transfer) {
  rt::arrive(transfer, other_context);
  body();
  for (;;) back();
}

// Runs body in another context until it first switches back; go() again goes on.
class Other {
 public:
  explicit Other(void (*what)()) : stack_(64 * 1024) {
    body = what;
    rt::set_exception_state(
        [] { return reinterpret_cast<rt::ExceptionState*>(abi::__cxa_get_globals()); });
    rt::adopt_current_thread(main_context, /*shared=*/true);
    other_context = main_context;
    rt::make_context(other_context, stack_.data() + stack_.size(), stack_.size(), entry);
  }
  ~Other() { rt::retire_context(other_context); }
  void go() { rt::switch_context(main_context, other_context); }

 private:
  std::vector<char> stack_;
};

}  // namespace

TEST_CASE("each context has its own errno") {
  Other other([] {
    CHECK(errno == 0);
    errno = 22;
    back();
    CHECK(errno == 22);
  });
  errno = 11;
  other.go();
  CHECK(errno == 11);
  errno = 12;
  other.go();
  CHECK(errno == 12);
}

TEST_CASE("each context has its own exceptions in flight") {
  Other other([] {
    CHECK(std::current_exception() == nullptr);
    try {
      throw std::runtime_error("theirs");
    } catch (...) {
      back();
      try {
        throw;
      } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()) == "theirs");
      }
    }
  });
  try {
    throw std::runtime_error("ours");
  } catch (...) {
    other.go();
    CHECK(std::uncaught_exceptions() == 0);
    try {
      throw;
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()) == "ours");
    }
  }
  CHECK(std::current_exception() == nullptr);
  other.go();
}

TEST_CASE("rounding modes belong to the context") {
  Other other([] {
    std::fesetround(FE_UPWARD);
    back();
    CHECK(std::fegetround() == FE_UPWARD);
    std::fesetround(FE_TONEAREST);
  });
  other.go();
  std::fesetround(FE_TONEAREST);
  other.go();
  CHECK(std::fegetround() == FE_TONEAREST);
}

TEST_CASE("callee-saved values survive a hundred thousand switches") {
  static long rounds = 0;
  Other other([] {
    for (;;) {
      ++rounds;
      back();
    }
  });
  long a = 1;
  long b = 2;
  double c = 0.5;
  for (int i = 0; i < 100'000; ++i) {
    other.go();
    a += i;
    b ^= a;
    c += 0.5;
  }
  CHECK(rounds == 100'000);
  CHECK(a == 1 + 99'999L * 50'000);
  CHECK(c == 50'000.5);
  CHECK(b != 2);
}
