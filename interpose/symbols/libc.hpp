// libc's own functions, behind our hooks of the same names.
#pragma once

#include <pthread.h>

namespace tendril::symbols {

// The next definition of a name after ours; never null (a missing one ends the process: the C
// library is not one that we know).
void* libc_function(const char* name) noexcept;

int libc_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*function)(void*), void* argument) noexcept;

}  // namespace tendril::symbols
