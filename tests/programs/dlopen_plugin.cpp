// A library for dlopen_threads: its constructor blocks, it has thread-locals that are allocated on
// demand, and it throws.
#include <pthread.h>
#include <time.h>

#include <string>

namespace {

struct Global {
  Global() {
    timespec t = {0, 5000000};
    nanosleep(&t, nullptr);
    pthread_t thread;
    pthread_create(
        &thread, nullptr, [](void* argument) -> void* { return argument; }, nullptr);
    pthread_join(thread, nullptr);
    ready = 1;
  }
  int ready = 0;
};

Global global;
thread_local int counter = 100;
thread_local char large[30000];
thread_local std::string text = "plugin";

}  // namespace

extern "C" int plugin_is_ready() { return global.ready; }

extern "C" int plugin_count(int by) {
  large[by % 30000] = static_cast<char>(by);
  counter += by;
  text += 'x';
  return counter;
}

extern "C" int plugin_catch(int n) {
  try {
    if (n > 0) throw std::to_string(n);
    return 0;
  } catch (const std::string& what) {
    return std::stoi(what);
  }
}
