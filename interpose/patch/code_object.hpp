// The executable part of a loaded object, and where its functions begin.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace tendril::patch {

inline constexpr size_t kBuildIdSize = 20;  // SHA-1, which linkers make unless told otherwise

class CodeObject {
 public:
  // An object by its program headers, loaded `bias` above the addresses in them. False if its
  // unwind table is not of the usual form, or if it has no code or too much to be searched.
  bool read(uintptr_t bias, const ElfW(Phdr) * headers, size_t count) noexcept;

  uint8_t* begin() const noexcept { return text_; }
  uint8_t* end() const noexcept { return text_ + text_size_; }
  // kBuildIdSize bytes; null if the object has none of this size.
  const uint8_t* build_id() const noexcept { return build_id_; }
  bool contains(const void* address) const noexcept {
    return address >= begin() && address < end();
  }

  // The function that an address lies in, by the unwind table: [*first, *last). False if none.
  bool function_of(const uint8_t* address, uint8_t** first, uint8_t** last) const noexcept;

 private:
  struct Row {  // .eh_frame_hdr: both relative to its start
    int32_t function;
    int32_t description;
  };
  uint8_t* text_ = nullptr;
  size_t text_size_ = 0;
  const uint8_t* build_id_ = nullptr;
  uint8_t* header_ = nullptr;
  const Row* rows_ = nullptr;  // sorted by function
  size_t row_count_ = 0;
};

}  // namespace tendril::patch
