#include "runtime/memory/reserve.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "runtime/memory/pages.hpp"

namespace rt = tendril::rt;

namespace {

// No new mapping succeeds while it lives.
class NoAddressSpace {
 public:
  NoAddressSpace() {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit none{4096, before_.rlim_max};
    setrlimit(RLIMIT_AS, &none);
  }
  ~NoAddressSpace() { setrlimit(RLIMIT_AS, &before_); }
  NoAddressSpace(const NoAddressSpace&) = delete;
  NoAddressSpace& operator=(const NoAddressSpace&) = delete;

 private:
  rlimit before_{};
};

constexpr size_t kBlock = 8 * rt::kPageSize;

}  // namespace

TEST_CASE("without address space there is the reserve, its pages are zero, and come back") {
  void* ordinary = rt::map_vital_pages(kBlock);  // sets the reserve aside
  REQUIRE(ordinary != nullptr);
  std::vector<char*> blocks(4096);
  for (int round = 0; round < 2; ++round) {
    size_t count = 0;
    bool zero = true;
    bool another = true;
    {
      const NoAddressSpace none;
      another = rt::map_pages(kBlock) != nullptr;
      while (count < blocks.size()) {
        auto* block = static_cast<char*>(rt::map_vital_pages(kBlock));
        if (block == nullptr) break;
        zero = zero && std::all_of(block, block + kBlock, [](char byte) { return byte == 0; });
        std::fill(block, block + kBlock, static_cast<char>(count + 1));
        blocks[count++] = block;
      }
    }
    CHECK_FALSE(another);
    CHECK(zero);
    CHECK(count == 128);  // 4 MiB of blocks
    for (size_t i = 0; i < count; ++i) {
      CHECK(blocks[i][0] == static_cast<char>(i + 1));  // nobody else's
      CHECK(blocks[i][kBlock - 1] == static_cast<char>(i + 1));
      rt::unmap_vital_pages(blocks[i], kBlock);
    }
  }
  rt::unmap_vital_pages(ordinary, kBlock);
}
