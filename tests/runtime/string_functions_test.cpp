// The core's and the shim's own string functions, which this program has linked in, against the
// plain definition of each: all sizes around those at which the way of copying changes, all
// overlaps.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace {

constexpr size_t kRoom = 700;

// Volatile: the call is made, whatever the compiler knows of the function.
void* (*volatile move_bytes)(void*, const void*, size_t) = std::memmove;
void* (*volatile copy_bytes)(void*, const void*, size_t) = std::memcpy;
void* (*volatile set_bytes)(void*, int, size_t) = std::memset;
int (*volatile compare_bytes)(const void*, const void*, size_t) = std::memcmp;

std::vector<char> numbered() {
  std::vector<char> bytes(kRoom);
  std::iota(bytes.begin(), bytes.end(), '\1');
  return bytes;
}

int sign(int value) { return (value > 0) - (value < 0); }

}  // namespace

TEST_CASE("memmove, whatever the overlap") {
  for (const size_t size :
       {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 255, 256, 257, 300}) {
    for (size_t to = 0; to < 330; to += to < 40 ? 1 : 13) {
      for (const size_t from : {size_t{0}, size_t{20}, size_t{300}}) {
        std::vector<char> bytes = numbered();
        std::vector<char> expected = bytes;
        for (size_t i = 0; i < size; ++i) expected[to + i] = bytes[from + i];
        CHECK(move_bytes(&bytes[to], &bytes[from], size) == &bytes[to]);
        REQUIRE(std::equal(bytes.begin(), bytes.end(), expected.begin()));
      }
    }
  }
}

TEST_CASE("memcpy and memset, to the byte") {
  for (size_t size = 0; size < 320; ++size) {
    const std::vector<char> source = numbered();
    std::vector<char> bytes(kRoom, 'r');
    CHECK(copy_bytes(&bytes[3], &source[5], size) == &bytes[3]);
    for (size_t i = 0; i < kRoom; ++i) {
      REQUIRE(bytes[i] == (i >= 3 && i < 3 + size ? source[i + 2] : 'r'));
    }
    CHECK(set_bytes(&bytes[1], 0x1f7, size) == &bytes[1]);
    for (size_t i = 1; i < 1 + size; ++i) REQUIRE(bytes[i] == static_cast<char>(0xf7));
    REQUIRE(bytes[0] == 'r');
    REQUIRE(bytes[1 + size] == (size >= 2 ? source[size + 3] : 'r'));  // as memcpy has left it
  }
}

TEST_CASE("comparisons are of unsigned characters") {
  CHECK(sign(compare_bytes("a\x80", "a\x7f", 2)) == 1);
  CHECK(compare_bytes("ab", "ac", 1) == 0);
  CHECK(sign(std::strcmp(std::string("a\xff").c_str(), std::string("a").c_str())) == 1);
  CHECK(std::strcmp(std::string("same").c_str(), std::string("same").c_str()) == 0);
  CHECK(sign(std::strncmp(std::string("abc").c_str(), std::string("abd").c_str(), 3)) == -1);
  CHECK(std::strncmp(std::string("abc").c_str(), std::string("abd").c_str(), 2) == 0);
  CHECK(std::strncmp(std::string("a").c_str(), std::string("a").c_str(), 9) == 0);
}

TEST_CASE("searches find the first, the last, the end, and nothing") {
  const std::string text = "one/two/three";
  const char* begin = text.c_str();
  CHECK(std::strlen(begin) == 13);
  CHECK(std::strchr(begin, '/') == begin + 3);
  CHECK(std::strrchr(begin, '/') == begin + 7);
  CHECK(std::strchr(begin, 0) == begin + 13);
  CHECK(std::strrchr(begin, 0) == begin + 13);
  CHECK(std::strchr(begin, 'x') == nullptr);
  CHECK(std::memchr(begin, 't', 13) == begin + 4);
  CHECK(std::memchr(begin, 't', 4) == nullptr);
  CHECK(std::strstr(begin, std::string("two").c_str()) == begin + 4);
  CHECK(std::strstr(begin, std::string("twi").c_str()) == nullptr);
  CHECK(std::strstr(begin, std::string().c_str()) == begin);
  CHECK(memmem(begin, 13, "three", 5) == begin + 8);
  CHECK(memmem(begin, 12, "three", 5) == nullptr);
  char copy[16];
  CHECK(stpcpy(copy, begin) == copy + 13);
  CHECK(text == copy);
}
