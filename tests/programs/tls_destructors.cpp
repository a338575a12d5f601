// C++ thread_local objects are made on first use and destroyed in reverse order at the end of the
// thread, before the destructors of pthread keys, which run again for values that they set.
#include <functional>
#include <string>
#include <vector>

#include "check.h"

namespace {

pthread_key_t key;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct Log {
  std::vector<std::string> lines;
  void add(const std::string& line) {
    sched_yield();
    CHECK_RC(pthread_mutex_lock(&mutex));
    lines.push_back(line);
    CHECK_RC(pthread_mutex_unlock(&mutex));
    usleep(100);
  }
};

thread_local Log* log_of_thread = nullptr;

struct Noisy {
  explicit Noisy(const char* name) : name(name) { log_of_thread->add("+" + this->name); }
  ~Noisy() { log_of_thread->add("-" + name); }
  std::string name;
};

thread_local Noisy first("first");  // initialised together with `second`, at first use of either
thread_local Noisy second("second");

void use_local() {
  thread_local Noisy third("third");
  third.name += "!";
}

void destroy_key(void* value) {
  auto rounds = reinterpret_cast<intptr_t>(value);
  log_of_thread->add("key " + std::to_string(rounds));
  if (rounds > 1) CHECK_RC(pthread_setspecific(key, reinterpret_cast<void*>(rounds - 1)));
}

void* body(void* argument) {
  log_of_thread = static_cast<Log*>(argument);
  CHECK_RC(pthread_setspecific(key, reinterpret_cast<void*>(3)));
  log_of_thread->add("begin");
  second.name += "?";
  use_local();
  use_local();
  log_of_thread->add("end");
  return nullptr;
}

void* exits(void* argument) {
  struct Scope {
    ~Scope() { log_of_thread->add("scope"); }
  };
  log_of_thread = static_cast<Log*>(argument);
  Scope scope;
  use_local();
  pthread_exit(nullptr);
}

std::string run(void* (*how)(void*)) {
  enum { kThreads = 20 };
  Log logs[kThreads];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(how, &logs[i]);
  for (pthread_t thread : threads) join_thread(thread);
  std::string joined;
  for (const std::string& line : logs[0].lines) joined += line + " ";
  for (const Log& log : logs) CHECK(log.lines == logs[0].lines);
  return joined;
}

}  // namespace

int main() {
  CHECK_RC(pthread_key_create(&key, destroy_key));
  CHECK_STR("begin +first +second +third end -third!! -second? -first key 3 key 2 key 1 ",
            run(body).c_str());
  pass("order at return of the thread");
  CHECK_STR("+third scope -third! ", run(exits).c_str());
  pass("order at pthread_exit");
  return 0;
}
