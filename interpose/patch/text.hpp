// Writes into code that is mapped read-only and executable, without ever making it writable.
//
// Where /proc/self/mem may not be opened (a daemon that has given up the rights of root is no
// process to be dumped, and the file is root's) pages are replaced by copies instead, each at once
// by one call: for debuggers and profilers these are no part of the file any more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/patch/trampolines.hpp"

namespace tendril::patch {

// The usual write goes through /proc/self/mem: the Linux kernel copies the private page and writes
// into the copy, as it does for debuggers. The mapping stays what it was, executable all the time
// and still that of the file, so tools that look it up in /proc/PID/maps still find its symbols.
class TextWriter {
 public:
  TextWriter() noexcept;
  ~TextWriter();
  TextWriter(const TextWriter&) = delete;
  TextWriter& operator=(const TextWriter&) = delete;

  // Puts the jumps of an object's sites in place, those of a page by one write. Nobody may be
  // running there: a jump is several bytes; and nobody else may patch. False if the first write was
  // denied: then nothing has changed. A site that cannot be written later keeps what it had.
  bool write_jumps(const SiteList& list, const Trampoline* trampolines, size_t* written) noexcept;

 private:
  static bool replace_pages(const SiteList& list, const Trampoline* trampolines,
                            size_t* written) noexcept;
  bool write(uint8_t* at, const uint8_t* bytes, size_t size) noexcept;
  bool write_on_page(const Site* sites, const Trampoline* trampolines, size_t count) noexcept;
  bool write_across_pages(const Site& site, const Trampoline& trampoline) noexcept;
  long descriptor_;
};

}  // namespace tendril::patch
