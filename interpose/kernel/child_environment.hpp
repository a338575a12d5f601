// The environment of children.
//
// A preloaded shim is kept out of the program's sight: its entry in LD_PRELOAD, the tunable that
// the command adds to GLIBC_TUNABLES, and TENDRIL_* are taken out of the environment when it is
// loaded. What execs a program puts them into the list that the new program gets, whatever list
// the caller passes (`env -i` too), so that children are green as well; TENDRIL_CHILDREN=0 leaves
// them native, and a child that cannot be green gets the caller's list as it is.
//
// Nothing here allocates or needs a handler: execs also happen in children on borrowed memory, and
// while the process is dormant. The caller's lists are read so that a bad pointer is found.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::kernel {

// Whether LD_PRELOAD names the shim; and not in the tendril command, which reads TENDRIL_* itself
// and makes the environment of what it starts.
bool is_preloaded(char* const* environment) noexcept;

// When the shim is loaded, if it is preloaded; `environment` is edited in place.
void take_environment(char** environment) noexcept;

// The value of TENDRIL_name, taken or not; null if there is none.
const char* tendril_variable(const char* name) noexcept;

struct ChildPlan {
  char* const* list = nullptr;     // the caller's
  size_t count = 0;                // of its entries
  const char* preload = nullptr;   // its LD_PRELOAD=…, if any
  size_t preload_length = 0;       // …with the terminating NUL
  const char* tunables = nullptr;  // its GLIBC_TUNABLES=…
  size_t tunables_length = 0;
  uint32_t own_settings = 0;  // bit i: it has the i-th TENDRIL_ variable itself
  size_t setting_count = 0;   // how many TENDRIL_ variables it has
  size_t size = 0;            // of the memory that compose_child_environment needs
};

// False: the program gets the caller's list as it is. Either children are not to be green, or this
// one cannot be (said under --verbose), or the list has the shim already, or it cannot be read, as
// the kernel will find.
// Arguments as those of execveat.
bool plan_child(int directory, const char* path, int flags, char* const* list,
                ChildPlan* plan) noexcept;

// Null if the list has changed meanwhile.
char** compose_child_environment(const ChildPlan& plan, void* memory) noexcept;

// Copies bytes that may not be there. False: they are not.
bool read_carefully(void* to, const void* from, size_t bytes) noexcept;

}  // namespace tendril::kernel
