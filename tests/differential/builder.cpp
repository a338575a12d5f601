#include "builder.hpp"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <climits>
#include <cstdio>
#include <cstring>

namespace differential {

// Not those that stop or end a process whatever one does, nor those that faults raise.
const std::vector<int> kSignals = {SIGHUP,  SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCHLD,
                                   SIGCONT, SIGURG,  SIGIO,   34,      35,      36,      64};

void Builder::show(const std::string& argument) {
  if (call.text.back() != '(') call.text += ", ";
  call.text += argument;
}

// One thing of a call may lie there.
bool Builder::take_edge(unsigned percent) {
  if (edge_taken_ || !random.chance(percent)) return false;
  return edge_taken_ = true;
}

std::string Builder::name_of(long address) const {
  std::string name = room.name_of(static_cast<uintptr_t>(address));
  if (!name.empty()) return name;
  for (const BadPlace& place : bad_places()) {
    if (place.address == static_cast<uintptr_t>(address)) return place.name;
  }
  return "?";
}

long Builder::number(long value) {
  char text[32];
  snprintf(text, sizeof text, value > 9999 || value < -9999 ? "%#lx" : "%ld", value);
  show(text);
  return value;
}

long Builder::named(const char* name, long value) {
  show(name);
  return value;
}

long Builder::one_of(const std::vector<long>& values) { return number(random.one_of(values)); }

long Builder::flags_of(const std::vector<long>& bits) {
  long flags = 0;
  while (random.chance(40)) flags |= random.one_of(bits);
  if (is_wild()) flags |= 1L << random.below(31);
  return number(flags);
}

void Builder::claim(int fd, Way way) {
  const int object = world.object_of(fd);
  if (object < 0) return;
  world.expand({object, way}, &call.claims);
  if (world.object(object).ends_by_itself) call.ends_by_itself = true;
}

long Builder::fd(unsigned kinds, std::optional<Way> way) {
  int chosen = -1;
  if (random.chance(wild / 3 + 2)) {
    chosen = static_cast<int>(
        random.one_of(std::vector<long>{-1, 63, 500, 1 << 20, INT_MAX, INT_MIN, -100}));
  } else {
    if (!random.chance(wild)) chosen = world.pick(random, kinds);
    if (chosen < 0) chosen = world.pick(random, kAny);
  }
  call.fds.push_back(chosen);
  if (way) claim(chosen, *way);
  // The other end gets it from a thread of the Linux kernel, a moment later.
  if (world.kind_of(chosen) == kTerminal) call.expiry_ms = 1;
  return number(chosen);
}

// The Linux kernel takes its time to end inotify.
void Builder::note_slow_close(int fd) {
  if (world.kind_of(fd) == kInotify) call.ends_by_itself = true;
}

long Builder::fd_anything() { return fd(kAny, {}); }

long Builder::fd_to_replace() {
  int chosen = static_cast<int>(random.one_of(std::vector<long>{5, 7, 9, 20, 33, 40, 62}));
  if (random.chance(50)) chosen = world.pick(random, kAny);
  if (is_wild()) chosen = static_cast<int>(random.one_of(std::vector<long>{-1, 1 << 30, INT_MIN}));
  call.closes.push_back(chosen);
  note_slow_close(chosen);
  return number(chosen);
}

bool Builder::bad_pointer(long* pointer) {
  if (!is_wild()) return false;
  const BadPlace& place = random.one_of(bad_places());
  *pointer = static_cast<long>(place.address);
  show(place.name);
  // That one can be read: a time limit that lies there is zero.
  if (std::string(place.name) == "read-only") call.ends_by_itself = true;
  last_chunk = nullptr;
  last_at_edge = true;
  return true;
}

long Builder::out(const std::vector<size_t>& sizes, Shown shown) {
  last_size = random.one_of(sizes);
  long bad;
  if (bad_pointer(&bad)) return bad;
  last_at_edge = take_edge(wild / 2 + 3);
  last_room = last_at_edge && random.chance(50) ? last_size / 2 : last_size;
  if (last_at_edge && last_room > 4096) last_room = 4096;
  // What signalfd tells contains numbers of processes.
  if (shown == Shown::kBytes && !call.fds.empty() && world.kind_of(call.fds[0]) == kSignalfd) {
    shown = Shown::kWhether;
  }
  last_chunk = last_at_edge ? room.at_edge(last_room, shown) : room.chunk(last_size, shown);
  const auto address = reinterpret_cast<long>(last_chunk);
  show(name_of(address));
  return address;
}

long Builder::in(const std::vector<size_t>& sizes) {
  const long address = out(sizes, Shown::kNever);
  if (last_chunk == nullptr) return address;
  // Something that is told from everything else, and a small number to those who take numbers.
  const auto base = static_cast<uint8_t>(random.next());
  for (size_t i = 0; i < last_room; ++i)
    last_chunk[i] = static_cast<uint8_t>(base + i * 7 + i / 251);
  if (last_size == 8 && last_room == 8) {
    const uint64_t value = random.chance(10) ? ~uint64_t{0} - random.below(3) : random.below(4);
    memcpy(last_chunk, &value, sizeof value);
  }
  return address;
}

long Builder::size() {
  if (!is_wild()) return number(static_cast<long>(last_size));
  std::vector<long> others = {0, 1, static_cast<long>(last_size / 2)};
  // Beyond its chunk lies what earlier calls have left; a call that reads may not come there.
  if (last_at_edge) {
    for (const long more : {1L << 20, long{INT_MAX}, long{INT_MIN}, -1L, LONG_MAX, 0x7ffff000L}) {
      others.push_back(more);
    }
  }
  return one_of(others);
}

long Builder::pointer(const void* value, size_t size, Shown shown) {
  last_size = size;
  long bad;
  if (bad_pointer(&bad)) return bad;
  last_at_edge = take_edge(wild / 2);
  last_chunk = last_at_edge ? room.at_edge(size, shown) : room.chunk(size, shown);
  memcpy(last_chunk, value, size);
  const auto address = reinterpret_cast<long>(last_chunk);
  show(name_of(address));
  return address;
}

long Builder::vectors(bool input, unsigned* count) {
  static const std::vector<size_t> kSizes = {0, 1, 5, 8, 100, 1000, 4096, 5000};
  const unsigned wanted = random.one_of(std::vector<unsigned>{0, 1, 1, 2, 2, 3, 5, 9, 12});
  std::vector<std::pair<long, size_t>> list;
  for (unsigned i = 0; i < wanted; ++i) {
    // The text tells of each part where it lies and how long it is.
    call.text += call.text.back() == '(' ? "[" : ", [";
    call.text += "(";
    const long at = input ? in(kSizes) : out(kSizes);
    size_t length = last_size;
    if (random.chance(wild / 4))
      length = static_cast<size_t>(random.one_of(std::vector<long>{-1, LONG_MAX, INT_MAX}));
    if (length != last_size && !last_at_edge) length = last_size;
    number(static_cast<long>(length));
    call.text += ")]";
    list.emplace_back(at, length);
  }
  *count = wanted;
  long bad;
  if (bad_pointer(&bad)) return bad;
  last_chunk = room.chunk(list.size() * 16 + 1, Shown::kNever);
  if (!list.empty()) memcpy(last_chunk, list.data(), list.size() * 16);
  show(name_of(reinterpret_cast<long>(last_chunk)));
  return reinterpret_cast<long>(last_chunk);
}

namespace {

constexpr long kNever = -1;

}  // namespace

long Builder::timespec_relative() {
  if (random.chance(40)) return null();
  timespec value = {0, 0};
  const unsigned which = random.below(10);
  if (is_wild()) {
    value = random.one_of(std::vector<timespec>{
        {-1, 0}, {0, -1}, {0, 1000000000}, {LONG_MAX, 0}, {LONG_MAX, 999999999}, {LONG_MIN, 0}});
  } else if (which < 3) {
    value = {0, 0};
    call.ends_by_itself = true;
  } else if (which < 7) {
    value.tv_nsec = 1000000 + random.below(2) * 1000000;
    call.ends_by_itself = true;
  } else {
    value.tv_sec = 100;
  }
  char text[64];
  snprintf(text, sizeof text, "{%lds%ldns}", value.tv_sec, value.tv_nsec);
  const long address = structure(value, Shown::kWhether);
  call.text += text;
  return address;
}

long Builder::timeval_relative() {
  if (random.chance(40)) return null();
  timeval value = {0, 0};
  const unsigned which = random.below(10);
  if (is_wild()) {
    value = random.one_of(std::vector<timeval>{{-1, 0}, {0, -1}, {LONG_MAX, 0}, {LONG_MIN, 0}});
  } else if (which < 3) {
    value = {0, 0};
    call.ends_by_itself = true;
  } else if (which < 7) {
    value.tv_usec = 1000 + random.below(2) * 1000;
    call.ends_by_itself = true;
  } else {
    value.tv_sec = 100;
  }
  char text[64];
  snprintf(text, sizeof text, "{%lds%ldus}", value.tv_sec, value.tv_usec);
  const long address = structure(value, Shown::kWhether);
  call.text += text;
  return address;
}

long Builder::milliseconds() {
  const long value = random.one_of(
      std::vector<long>{kNever, kNever, kNever, 0, 0, 0, 0, 1, 2, 3, 100000, INT_MIN, INT_MAX});
  if (value >= 0 && value < 100) call.ends_by_itself = true;
  return number(value);
}

int Builder::signal() {
  if (is_wild()) {
    return static_cast<int>(random.one_of(std::vector<long>{0, -1, 65, 66, INT_MAX, INT_MIN}));
  }
  return random.one_of(kSignals);
}

uint64_t Builder::random_set() {
  uint64_t set = 0;
  const unsigned density = random.one_of(std::vector<unsigned>{0, 10, 30, 60, 100});
  for (const int signal : kSignals) {
    if (random.chance(density)) set |= bit_of(signal);
  }
  if (random.chance(10)) set |= bit_of(SIGKILL) | bit_of(SIGSTOP);
  if (random.chance(10)) set |= bit_of(SIGSYS);
  return set;
}

long Builder::signal_set(uint64_t set) {
  const long address = structure(set, Shown::kNever);
  char text[32];
  snprintf(text, sizeof text, "{%#llx}", static_cast<unsigned long long>(set));
  call.text += text;
  return address;
}

long Builder::path() {
  static const std::vector<const char*> kPaths = {"a",    "b",    "c",       "d",         "d/a",
                                                  "d/x",  "fifo", "missing", "missing/x", "a/b",
                                                  "link", "",     ".",       "..",        "loop"};
  const char* name = random.one_of(kPaths);
  std::string longer;
  if (is_wild() && random.chance(30)) {
    longer.assign(random.chance(50) ? 300 : 5000, 'n');
    name = longer.c_str();
  }
  const long address = pointer(name, strlen(name) + 1, Shown::kNever);
  if (last_chunk != nullptr && longer.empty()) call.text += std::string("\"") + name + "\"";
  return address;
}

}  // namespace differential
