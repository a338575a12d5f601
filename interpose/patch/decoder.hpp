// The instruction decoder: Zydis, loaded only by processes that become green.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace tendril::patch {

class Decoder {
 public:
  // Program code: loads a library. False if it is not there.
  bool load() noexcept;

  // The rest neither allocates nor locks.

  // The length of an instruction; 0 if these bytes are none. Much quicker than the whole of it.
  size_t length_at(const uint8_t* address, const uint8_t* end) const noexcept {
    ZydisDecodedInstruction instruction;
    const auto room = static_cast<size_t>(end - address);
    return ZYAN_SUCCESS(decode_(&lengths_, nullptr, address, room, &instruction))
               ? instruction.length
               : 0;
  }

  // False if these bytes are no instruction.
  bool at(const uint8_t* address, const uint8_t* end, ZydisDecodedInstruction* out) const noexcept {
    return ZYAN_SUCCESS(
        decode_(&decoder_, nullptr, address, static_cast<size_t>(end - address), out));
  }

 private:
  decltype(&ZydisDecoderDecodeInstruction) decode_ = nullptr;
  ZydisDecoder decoder_{};
  ZydisDecoder lengths_{};
};

}  // namespace tendril::patch
