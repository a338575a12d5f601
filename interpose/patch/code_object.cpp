#include "interpose/patch/code_object.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>

namespace tendril::patch {

bool CodeObject::find(const char* name) noexcept {
  struct Search {
    const char* name;
    CodeObject* object;
  } search{name, this};
  const auto visit = [](dl_phdr_info* info, size_t, void* data) -> int {
    auto* wanted = static_cast<Search*>(data);
    const char* slash = std::strrchr(info->dlpi_name, '/');
    if (std::strcmp(slash != nullptr ? slash + 1 : info->dlpi_name, wanted->name) != 0) return 0;
    CodeObject& object = *wanted->object;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& header = info->dlpi_phdr[i];
      auto* at = reinterpret_cast<uint8_t*>(info->dlpi_addr + header.p_vaddr);
      if (header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0) {
        object.text_ = at;
        object.text_size_ = header.p_memsz;
      } else if (header.p_type == PT_GNU_EH_FRAME) {
        object.header_ = at;
      }
    }
    return 1;
  };
  if (dl_iterate_phdr(visit, &search) == 0 || text_ == nullptr || header_ == nullptr) return false;
  // LSB, "Exception Frames": version 1, eh_frame pointer pcrel|sdata4, count udata4, table
  // datarel|sdata4: what every linker writes.
  constexpr uint8_t kUsual[4] = {1, 0x1b, 0x03, 0x3b};
  if (std::memcmp(header_, kUsual, sizeof kUsual) != 0) return false;
  uint32_t count;
  std::memcpy(&count, header_ + 8, sizeof count);
  row_count_ = count;
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
