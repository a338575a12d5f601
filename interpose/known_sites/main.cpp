// Prints the table of known sites (interpose/patch/known_sites.hpp) of the libraries that are named
// on the command line, as C++ definitions. Runs when Tendril is built.
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "interpose/patch/code_object.hpp"
#include "interpose/patch/decoder.hpp"
#include "interpose/patch/known_sites.hpp"
#include "interpose/patch/sites.hpp"

namespace {

using tendril::patch::CodeObject;
using tendril::patch::Decoder;
using tendril::patch::kBuildIdSize;
using tendril::patch::KnownObject;
using tendril::patch::KnownSite;
using tendril::patch::Site;
using tendril::patch::SiteList;

struct Table {
  std::vector<KnownObject> objects;
  std::vector<KnownSite> sites;
  std::vector<uint8_t> code;
};

[[noreturn]] void fail(const char* what, const char* why) {
  std::fprintf(stderr, "tendril_known_sites: %s: %s\n", what, why);
  std::exit(1);
}

// The object loaded at `bias`.
struct Wanted {
  ElfW(Addr) bias;
  CodeObject object;
  bool found = false;
};

int read_wanted(dl_phdr_info* info, size_t, void* argument) {
  auto* wanted = static_cast<Wanted*>(argument);
  if (info->dlpi_addr != wanted->bias) return 0;
  wanted->found = wanted->object.read(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum);
  return 1;
}

CodeObject load(const char* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (library == nullptr) fail(path, dlerror());
  link_map* map;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) fail(path, dlerror());
  Wanted wanted{map->l_addr, {}};
  dl_iterate_phdr(read_wanted, &wanted);
  if (!wanted.found) fail(path, "its code or unwind table cannot be read");
  return wanted.object;
}

void add(const CodeObject& object, const Decoder& decoder, Table& table) {
  static SiteList list;
  find_sites(object, decoder, list);
  KnownObject known{};
  std::memcpy(known.build_id, object.build_id(), kBuildIdSize);
  known.text_size = static_cast<uint32_t>(object.end() - object.begin());
  known.found = static_cast<uint32_t>(list.found);
  known.sites = static_cast<uint32_t>(list.usable);
  table.objects.push_back(known);
  for (size_t i = 0; i < list.usable; ++i) {
    const Site& site = list.sites[i];
    table.sites.push_back({static_cast<uint32_t>(site.window - object.begin()),
                           static_cast<uint8_t>(site.syscall - site.window),
                           static_cast<uint8_t>(site.displacement), site.single});
    table.code.insert(table.code.end(), site.window, site.syscall);
  }
}

void print(const Table& table) {
  std::puts("constexpr KnownObject kKnownObjects[] = {");
  for (const KnownObject& object : table.objects) {
    std::printf("  {{");
    for (const uint8_t byte : object.build_id) std::printf("%u,", byte);
    std::printf("}, %u, %u, %u},\n", object.text_size, object.found, object.sites);
  }
  // Neither array is empty, whatever was found.
  std::printf("  {}};\nconstexpr size_t kKnownObjectCount = %zu;\n", table.objects.size());
  std::puts("constexpr KnownSite kKnownSites[] = {");
  for (const KnownSite& site : table.sites) {
    std::printf("  {%u, %u, %u, %s},\n", site.window, site.window_size, site.displacement,
                site.single ? "true" : "false");
  }
  std::puts("  {}};\nconstexpr uint8_t kKnownCode[] = {");
  for (const uint8_t byte : table.code) std::printf("%u,", byte);
  std::puts("0};");
}

}  // namespace

int main(int count, char** paths) {
  Decoder decoder;
  if (!decoder.load()) fail("libZydis.so.4.0", "cannot be loaded (package libzydis4.0)");
  Table table;
  for (int i = 1; i < count; ++i) {
    const CodeObject object = load(paths[i]);
    // Without a build id nobody could tell it from another version.
    if (object.build_id() != nullptr) add(object, decoder, table);
  }
  print(table);
  return 0;
}
