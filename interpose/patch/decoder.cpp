#include "interpose/patch/decoder.hpp"

#include <dlfcn.h>

namespace tendril::patch {

bool Decoder::load() noexcept {
  if (decode_ != nullptr) return true;
  void* library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  const auto init =
      reinterpret_cast<decltype(&ZydisDecoderInit)>(dlsym(library, "ZydisDecoderInit"));
  const auto enable =
      reinterpret_cast<decltype(&ZydisDecoderEnableMode)>(dlsym(library, "ZydisDecoderEnableMode"));
  const auto decode =
      reinterpret_cast<decltype(decode_)>(dlsym(library, "ZydisDecoderDecodeInstruction"));
  if (init == nullptr || enable == nullptr || decode == nullptr ||
      !ZYAN_SUCCESS(init(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64))) {
    return false;
  }
  lengths_ = decoder_;
  if (!ZYAN_SUCCESS(enable(&lengths_, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE))) return false;
  decode_ = decode;
  return true;
}

}  // namespace tendril::patch
