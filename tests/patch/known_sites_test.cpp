// What is known of this machine's C library is what a search of it finds, and no more than that.
#include "interpose/patch/known_sites.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "interpose/patch/decoder.hpp"

namespace {

using namespace tendril::patch;

// A copy of the library that nobody runs in, so that its code can be changed.
CodeObject load_copy(const char* name) {
  void* library = dlmopen(LM_ID_NEWLM, name, RTLD_NOW);
  REQUIRE(library != nullptr);
  link_map* map;
  REQUIRE(dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(map->l_addr);
  const auto* parts = reinterpret_cast<const ElfW(Phdr)*>(map->l_addr + header->e_phoff);
  CodeObject object;
  REQUIRE(object.read(map->l_addr, parts, header->e_phnum));
  return object;
}

std::unique_ptr<SiteList> known(const CodeObject& object) {
  auto list = std::make_unique<SiteList>();
  REQUIRE(known_sites(object, *list));
  return list;
}

void write_byte(uint8_t* at, uint8_t value) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  auto* begin = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(at) & ~(page - 1));
  REQUIRE(mprotect(begin, page, PROT_READ | PROT_WRITE) == 0);
  *at = value;
  REQUIRE(mprotect(begin, page, PROT_READ | PROT_EXEC) == 0);
}

}  // namespace

TEST_CASE("the sites that are known are those that a search finds") {
  const CodeObject libc = load_copy("libc.so.6");
  Decoder decoder;
  REQUIRE(decoder.load());
  auto found = std::make_unique<SiteList>();
  find_sites(libc, decoder, *found);
  const auto list = known(libc);
  CHECK(list->found == found->found);
  REQUIRE(list->usable == found->usable);
  CHECK(list->usable > 100);
  for (size_t i = 0; i < list->usable; ++i) {
    const Site& a = list->sites[i];
    const Site& b = found->sites[i];
    CHECK(a.window == b.window);
    CHECK(a.syscall == b.syscall);
    CHECK(a.single == b.single);
    CHECK(a.displacement == b.displacement);
  }
}

TEST_CASE("a site whose code has been changed is left out, and no other") {
  const CodeObject libc = load_copy("libc.so.6");
  const auto before = known(libc);
  const Site in_window = before->sites[7];
  const Site in_syscall = before->sites[20];
  write_byte(in_window.window, 0xcc);  // a debugger's breakpoint
  write_byte(in_syscall.syscall, 0xcc);
  const auto after = known(libc);
  CHECK(after->found == before->found);
  CHECK(after->usable == before->usable - 2);
  for (size_t i = 0; i < after->usable; ++i) {
    CHECK(after->sites[i].window != in_window.window);
    CHECK(after->sites[i].window != in_syscall.window);
  }
}

TEST_CASE("a library that is not in the table is not known") {
  SiteList untouched;
  untouched.found = 5;
  CHECK_FALSE(known_sites(load_copy("libZydis.so.4.0"), untouched));
  CHECK(untouched.found == 5);
}
