#include "interpose/patch/code_object.hpp"

#include <cstring>

namespace tendril::patch {

namespace {

// Searching reads all of it, from the disk if need be: more is not worth the time.
constexpr size_t kMostText = size_t{64} << 20;

// In the notes of an object; null if there is none.
const uint8_t* build_id_in(const uint8_t* notes, size_t size) noexcept {
  constexpr char kOwner[] = "GNU";
  const auto rounded_up = [](size_t n) { return (n + 3) & ~size_t{3}; };
  for (ElfW(Nhdr) note; size >= sizeof note;) {
    std::memcpy(&note, notes, sizeof note);
    const uint8_t* owner = notes + sizeof note;
    const size_t whole = sizeof note + rounded_up(note.n_namesz) + rounded_up(note.n_descsz);
    if (whole > size) return nullptr;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof kOwner &&
        note.n_descsz == kBuildIdSize && std::memcmp(owner, kOwner, sizeof kOwner) == 0) {
      return owner + sizeof kOwner;
    }
    notes += whole;
    size -= whole;
  }
  return nullptr;
}

}  // namespace

bool CodeObject::read(uintptr_t bias, const ElfW(Phdr) * headers, size_t count) noexcept {
  *this = {};
  for (size_t i = 0; i < count; ++i) {
    auto* at = reinterpret_cast<uint8_t*>(bias + headers[i].p_vaddr);
    if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_X) != 0) {
      if ((headers[i].p_flags & PF_W) != 0) return false;  // changes itself
      text_ = at;
      text_size_ = headers[i].p_filesz;
    } else if (headers[i].p_type == PT_GNU_EH_FRAME) {
      header_ = at;
    } else if (headers[i].p_type == PT_NOTE && build_id_ == nullptr) {
      build_id_ = build_id_in(at, headers[i].p_memsz);
    }
  }
  if (text_ == nullptr || header_ == nullptr || text_size_ > kMostText) return false;
  // LSB, "Exception Frames": version 1, eh_frame pointer pcrel|sdata4, count udata4, table
  // datarel|sdata4: what every linker writes.
  constexpr uint8_t kUsual[4] = {1, 0x1b, 0x03, 0x3b};
  if (std::memcmp(header_, kUsual, sizeof kUsual) != 0) return false;
  uint32_t rows;
  std::memcpy(&rows, header_ + 8, sizeof rows);
  row_count_ = rows;
  rows_ = reinterpret_cast<const Row*>(header_ + 12);
  return row_count_ > 0;
}

bool CodeObject::function_of(const uint8_t* address, uint8_t** first,
                             uint8_t** last) const noexcept {
  const auto wanted = address - header_;
  size_t low = 0;
  size_t high = row_count_;
  while (low < high) {  // the first row beyond the address
    const size_t middle = (low + high) / 2;
    if (rows_[middle].function <= wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return false;
  *first = header_ + rows_[low - 1].function;
  *last = low < row_count_ ? header_ + rows_[low].function : end();
  return *first >= begin() && *last <= end();
}

}  // namespace tendril::patch
