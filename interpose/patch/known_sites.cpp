#include "interpose/patch/known_sites.hpp"

#include <cstring>

namespace tendril::patch {
namespace {

#include <known_sites.inc>  // written when Tendril is built

bool is(const CodeObject& object, const KnownObject& known) noexcept {
  const uint8_t* id = object.build_id();
  return id != nullptr && std::memcmp(id, known.build_id, kBuildIdSize) == 0 &&
         static_cast<size_t>(object.end() - object.begin()) == known.text_size;
}

bool is_unchanged(const Site& site, const uint8_t* code) noexcept {
  const auto size = static_cast<size_t>(site.syscall - site.window);
  return std::memcmp(site.window, code, size) == 0 &&
         std::memcmp(site.syscall, kSyscallCode, kSyscallSize) == 0;
}

}  // namespace

bool known_sites(const CodeObject& object, SiteList& list) noexcept {
  const KnownSite* site = kKnownSites;
  const uint8_t* code = kKnownCode;
  for (size_t i = 0; i < kKnownObjectCount; ++i) {
    const KnownObject& known = kKnownObjects[i];
    const bool wanted = is(object, known);
    if (wanted) {
      list.found = known.found;
      list.usable = 0;
    }
    for (const KnownSite* const end = site + known.sites; site != end; ++site) {
      if (wanted) {
        uint8_t* const window = object.begin() + site->window;
        const Site here{window, window + site->window_size, site->single, site->displacement};
        if (is_unchanged(here, code)) list.sites[list.usable++] = here;
      }
      code += site->window_size;
    }
    if (wanted) return true;
  }
  return false;
}

}  // namespace tendril::patch
