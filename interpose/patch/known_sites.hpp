// The sites of libraries that nearly every program has loaded, found when Tendril was built: to
// search the C library took a third of the time that a process needs to become green, and more.
//
// A library is known by its build id. Each site is compared with the code that was searched, so one
// that somebody has changed since (a debugger, another library that rewrites code) stays with the
// trap. A library of another version is searched as before.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/patch/code_object.hpp"
#include "interpose/patch/sites.hpp"

namespace tendril::patch {

// True if the object is known: then its sites are in the list.
bool known_sites(const CodeObject& object, SiteList& list) noexcept;

// --- the table, which interpose/known_sites writes; no pointers, so that no start relocates it.
// The code of the sites' windows stands there, too, one after the other ---

struct KnownSite {
  uint32_t window;  // from the beginning of the text
  uint8_t window_size;
  uint8_t displacement;
  bool single;
};

struct KnownObject {
  uint8_t build_id[kBuildIdSize];
  uint32_t text_size;
  uint32_t found;  // see SiteList
  uint32_t sites;  // how many, after those of the objects before
};

}  // namespace tendril::patch
