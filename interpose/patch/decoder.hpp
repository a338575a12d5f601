// The instruction decoder: Zydis, loaded only by processes that become green.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace tendril::patch {

class Decoder {
 public:
  // Program code: loads a library. False if it is not there.
  bool load() noexcept;

  // Neither allocates nor locks. False if these bytes are no instruction.
  bool at(const uint8_t* address, const uint8_t* end, ZydisDecodedInstruction* out) const noexcept {
    return ZYAN_SUCCESS(
        decode_(&decoder_, nullptr, address, static_cast<size_t>(end - address), out));
  }

 private:
  decltype(&ZydisDecoderDecodeInstruction) decode_ = nullptr;
  ZydisDecoder decoder_{};
};

}  // namespace tendril::patch
