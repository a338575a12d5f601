// Prints the sites of loaded libraries, as the patch front end finds them: for each library named
// on the command line a line "PATH FOUND USABLE", then "WINDOW SYSCALL" lines, as the addresses in
// the file.
#include <dlfcn.h>
#include <link.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "interpose/patch/sites.hpp"

namespace {

tendril::patch::Decoder decoder;

int visit(dl_phdr_info* info, size_t, void* wanted) {
  const char* slash = std::strrchr(info->dlpi_name, '/');
  if (std::strcmp(slash != nullptr ? slash + 1 : info->dlpi_name,
                  static_cast<const char*>(wanted)) != 0) {
    return 0;
  }
  static tendril::patch::SiteList list;
  tendril::patch::CodeObject object;
  if (!object.read(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum)) return 0;
  find_sites(object, decoder, list);
  std::printf("%s %zu %zu\n", info->dlpi_name, list.found, list.usable);
  const auto in_file = [&](const uint8_t* at) {
    return reinterpret_cast<uintptr_t>(at) - info->dlpi_addr;
  };
  for (size_t i = 0; i < list.usable; ++i) {
    std::printf("%" PRIxPTR " %" PRIxPTR "\n", in_file(list.sites[i].window),
                in_file(list.sites[i].syscall));
  }
  return 1;
}

}  // namespace

int main(int count, char** names) {
  if (!decoder.load()) {
    std::fprintf(stderr, "list_sites: no decoder library\n");
    return 1;
  }
  for (int i = 1; i < count; ++i) {
    if (dlopen(names[i], RTLD_NOW) == nullptr) continue;
    if (dl_iterate_phdr(visit, names[i]) == 0) {
      std::fprintf(stderr, "list_sites: nothing to read in %s\n", names[i]);
    }
  }
  return 0;
}
