// What a library that the program opens finds by name is what it brings along, or libc's: nothing
// of the libraries that run it has a name there. One with a copy of libuv of its own, say, calls
// that.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static void look_for(const char* name) {
  if (dlsym(RTLD_DEFAULT, name) != NULL) printf("%s is there\n", name);
}

static void* nothing(void* unused) { return unused; }

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, nothing, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  static const char* const names[] = {
      "uv_loop_init",     "uv_run",
      "uv_queue_work",    "uv_default_loop",
      "uv_version",       "jump_fcontext",
      "make_fcontext",    "ontop_fcontext",
      "ZydisDecoderInit", "ZydisDecoderDecodeFull",
      "__cxa_throw",      "_Unwind_RaiseException",
      "dwfl_begin",
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) look_for(names[i]);
  look_for("printf");  // the search works
  return 0;
}
