// What an ELF file says about how it is run.
#pragma once

#include <string>
#include <string_view>

namespace tendril::command {

bool is_elf(std::string_view head);

// The dynamic loader that the program open as `fd` names (its PT_INTERP), which must be glibc's and
// present: only a loader can preload the shim. Throws Refusal (126; 127 where the loader is
// missing) for a 32-bit program, one for another machine, a statically linked one (static-pie too),
// a damaged file, another libc. Empty for the tendril command, which is static but makes what it
// starts green. `subject` opens the message.
std::string dynamic_loader(int fd, const std::string& subject);

// Empty if the file is a shared object that a 64-bit x86-64 loader can map, else what is wrong with
// it: "cannot be opened (No such file or directory)".
std::string shared_object_defect(const std::string& path);

}  // namespace tendril::command
