#include "interpose/patch/patcher.hpp"

#include <cstdint>
#include <cstring>

#include "interpose/patch/decoder.hpp"
#include "interpose/patch/known_sites.hpp"
#include "interpose/patch/late_objects.hpp"
#include "interpose/patch/patched_call.hpp"
#include "interpose/patch/position.hpp"
#include "interpose/patch/sites.hpp"
#include "interpose/patch/text.hpp"
#include "interpose/patch/trampolines.hpp"
#include "interpose/trap/observers.hpp"
#include "runtime/hub/fatal.hpp"

extern "C" void tendril_patched_entry();

namespace tendril::patch {
namespace {

constexpr size_t kMostObjects = 512;

// Every program that is started has these, and few use them: no start may touch their pages.
constinit Decoder decoder;
constinit CodeObject objects[kMostObjects];
size_t object_count = 0;
constinit CodeObject loader;
const char* impossible = nullptr;
constinit SiteList list;

// Objects without a site that could be patched: to decode them takes long, and every child of fork
// that becomes green would do it again. One that has gone is not struck off: what lies there
// afterwards, if it has the same size, is not patched and traps.
class BarrenObjects {
 public:
  bool has(uintptr_t begin, size_t size) const noexcept {
    for (const Place& place : places_) {
      if (place.begin == begin && place.size == size) return true;
    }
    return false;
  }
  void add(uintptr_t begin, size_t size) noexcept {
    places_[next_] = {begin, size};
    next_ = (next_ + 1) % kMost;
  }

 private:
  static constexpr size_t kMost = 256;
  struct Place {
    uintptr_t begin;
    size_t size;
  };
  Place places_[kMost] = {};
  size_t next_ = 0;  // the oldest
};

constinit BarrenObjects barren;

bool is_runtime(const CodeObject& object) noexcept {
  return object.contains(reinterpret_cast<const void*>(tendril_patched_entry)) ||
         object.contains(reinterpret_cast<const void*>(rt::fatal));
}

// How often the loader has opened and closed something.
struct LoaderCounts {
  unsigned long long opened = 0;
  unsigned long long closed = 0;
  bool operator==(const LoaderCounts&) const = default;
};
constinit LoaderCounts looked_at;

int read_counts(dl_phdr_info* info, size_t, void* counts) {
  *static_cast<LoaderCounts*>(counts) = {info->dlpi_adds, info->dlpi_subs};
  return 1;
}

int visit(dl_phdr_info* info, size_t, void*) {
  const char* slash = std::strrchr(info->dlpi_name, '/');
  const char* name = slash != nullptr ? slash + 1 : info->dlpi_name;
  CodeObject object;
  if (!object.read(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum)) return 0;
  if (std::strncmp(name, "ld-linux", 8) == 0) {
    loader = object;
  } else if (!is_runtime(object) && object_count < kMostObjects) {
    objects[object_count++] = object;
  }
  return 0;
}

}  // namespace

void find_objects() noexcept {
  LoaderCounts counts;
  dl_iterate_phdr(read_counts, &counts);
  if (counts == looked_at) return;  // by a parent, before fork
  object_count = 0;
  if (!prepare_calls()) {
    impossible = "the CPU has no XSAVEC";
  } else if (!decoder.load()) {
    impossible = "libZydis.so.4.0 is missing (package libzydis4.0)";
  } else {
    dl_iterate_phdr(read_counts, &counts);  // again: the decoder is a library, too
    dl_iterate_phdr(visit, nullptr);
    looked_at = counts;
  }
}

void patch_object(const CodeObject& object, Outcome* outcome) noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(object.begin());
  const auto size = static_cast<size_t>(object.end() - object.begin());
  if (is_patched(begin) || !has_room()) return;
  if (barren.has(begin, size)) return;
  if (!known_sites(object, list)) find_sites(object, decoder, list);
  outcome->sites += list.found;
  if (list.usable == 0) return barren.add(begin, size);
  Trampoline* trampolines = make_trampolines(object, list, &outcome->why_not);
  if (trampolines == nullptr) return;
  TextWriter writer;
  size_t written;
  if (!writer.write_jumps(list, trampolines, &written)) {
    outcome->why_not = "code cannot be written";  // no /proc, or a kernel that forbids it
    drop_trampolines(trampolines, list.usable);
    return;
  }
  add_object({begin, reinterpret_cast<uintptr_t>(object.end()), trampolines, list.usable});
  ++outcome->objects;
  outcome->patched += written;
}

Outcome apply() noexcept {
  Outcome outcome;
  outcome.why_not = impossible;
  if (impossible != nullptr) return outcome;
  for (size_t i = 0; i < object_count; ++i) patch_object(objects[i], &outcome);
  trap::observers.settle = settle;
  trap::observers.leave_passed_call = leave_passed_call;
  trap::observers.leave_interrupted_call = leave_interrupted_call;
  if (loader.begin() != nullptr) watch_loader(loader);
  return outcome;
}

}  // namespace tendril::patch
