// streams AMOUNT [stopped]: many threads that check every byte they pass on: over TCP, Unix sockets
// and pipes, through files, and in a ring of futexes; beside them threads that poll, and threads
// that come and go. AMOUNT is how many KB each stream carries. `stopped`: the process is stopped
// and continued, after which epoll_wait fails with EINTR (signal(7)) and no other call made here
// does.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tolerance.h"

enum { kStreams = 12, kRing = 6, kPiece = 3000, kFileBytes = 60000 };

static size_t stream_bytes;
static int is_stopped;

// What a stream carries at a place. The period is odd, so that no power of two hides a slip.
static unsigned char byte_at(unsigned stream, size_t place) {
  return (unsigned char)((place % 65521 * 31 + stream * 7) >> 3);
}

struct stream {
  unsigned number;
  int in, out;  // of the echo
  int listener;
  struct sockaddr_in address;
  int to, from;  // of who sends and of who receives
};

static void send_piece(int fd, const unsigned char* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const long wrote = TRY("write", 0, write(fd, bytes + done, size - done));
    if (wrote <= 0) broken("write", wrote);
    done += (size_t)wrote;
  }
}

static void* send_stream(void* argument) {
  struct stream* s = argument;
  unsigned char piece[kPiece];
  for (size_t place = 0; place < stream_bytes;) {
    size_t size = 1 + (place * 7 + s->number) % kPiece;
    if (size > stream_bytes - place) size = stream_bytes - place;
    for (size_t i = 0; i < size; ++i) piece[i] = byte_at(s->number, place + i);
    send_piece(s->to, piece, size);
    place += size;
  }
  if (s->to != s->from) {
    close(s->to);
  } else {
    shutdown(s->to, SHUT_WR);
  }
  return NULL;
}

static void* receive_stream(void* argument) {
  struct stream* s = argument;
  unsigned char piece[kPiece];
  size_t place = 0;
  for (;;) {
    const long got = TRY("read", 0, read(s->from, piece, sizeof piece));
    if (got < 0) broken("read", got);
    if (got == 0) break;
    for (long i = 0; i < got; ++i) {
      if (piece[i] != byte_at(s->number, place + (size_t)i)) broken("another byte came", got);
    }
    place += (size_t)got;
  }
  if (place != stream_bytes) broken("bytes are missing", (long)place);
  close(s->from);
  return NULL;
}

// Every other echo polls before it reads.
static void* echo(void* argument) {
  struct stream* s = argument;
  unsigned char piece[kPiece];
  if (s->listener >= 0) {
    s->in = s->out = (int)TRY("accept", ECONNABORTED, accept(s->listener, NULL, NULL));
    close(s->listener);
  }
  for (;;) {
    if (s->number % 2 == 1) {
      struct pollfd p = {.fd = s->in, .events = POLLIN};
      const long ready = TRY("poll", 0, poll(&p, 1, -1));
      if (ready != 1) broken("poll", ready);
    }
    const long got = TRY("read", 0, read(s->in, piece, sizeof piece));
    if (got < 0) broken("read", got);
    if (got == 0) break;
    send_piece(s->out, piece, (size_t)got);
  }
  if (s->in != s->out) close(s->in);
  close(s->out);
  return NULL;
}

static void open_stream(struct stream* s) {
  int pair[2], back[2];
  s->listener = -1;
  switch (s->number % 3) {
    case 0: {
      s->listener = (int)TRY("socket", 0, socket(AF_INET, SOCK_STREAM, 0));
      s->address =
          (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
      socklen_t size = sizeof s->address;
      if (bind(s->listener, (struct sockaddr*)&s->address, size) != 0 ||
          listen(s->listener, 1) != 0 ||
          getsockname(s->listener, (struct sockaddr*)&s->address, &size) != 0)
        broken("listen", -1);
      s->to = s->from = (int)TRY("socket", 0, socket(AF_INET, SOCK_STREAM, 0));
      break;
    }
    case 1:
      TRY("socketpair", 0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      s->to = s->from = pair[0];
      s->in = s->out = pair[1];
      break;
    default:
      TRY("pipe", 0, pipe(pair));
      TRY("pipe", 0, pipe(back));
      s->in = pair[0];
      s->to = pair[1];
      s->from = back[0];
      s->out = back[1];
      break;
  }
}

static void* run_stream(void* argument) {
  struct stream* s = argument;
  open_stream(s);
  const pthread_t echoes = start(echo, s);
  if (s->listener >= 0) {
    TRY("connect", EAGAIN, connect(s->to, (struct sockaddr*)&s->address, sizeof s->address));
  }
  const pthread_t sends = start(send_stream, s);
  receive_stream(s);
  join(sends);
  join(echoes);
  return NULL;
}

// --- a ball in a ring of futexes ---

static uint32_t ball[kRing];
static uint32_t laps;

static void* pass_ball(void* argument) {
  const unsigned mine = (unsigned)(uintptr_t)argument;
  const unsigned next = (mine + 1) % kRing;
  for (uint32_t lap = 1; lap <= laps; ++lap) {
    for (uint32_t seen; (seen = __atomic_load_n(&ball[mine], __ATOMIC_ACQUIRE)) != lap;) {
      const long result = syscall(SYS_futex, &ball[mine], FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
      if (result != 0 && errno != EAGAIN && errno != ENOMEM) broken("futex", result);
    }
    __atomic_store_n(&ball[next], next == 0 ? lap + 1 : lap, __ATOMIC_RELEASE);
    const long woken = syscall(SYS_futex, &ball[next], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    if (woken < 0) broken("futex", woken);
  }
  return NULL;
}

// --- files ---

static void* use_file(void* argument) {
  const unsigned number = (unsigned)(uintptr_t)argument;
  char name[64];
  unsigned char piece[kPiece];
  const int fd = (int)TRY("mkstemp", 0, mkstemp(strcpy(name, "/tmp/streams.XXXXXX")));
  unlink(name);
  for (size_t place = 0; place < kFileBytes;) {
    for (size_t i = 0; i < kPiece; ++i) piece[i] = byte_at(number, place + i);
    // EIO: nothing was written, or it was written and shall be written again.
    const long wrote = TRY("pwrite", EIO, pwrite(fd, piece, kPiece, (off_t)place));
    if (wrote <= 0) broken("pwrite", wrote);
    place += (size_t)wrote;
  }
  TRY("fsync", EIO, fsync(fd));
  if (lseek(fd, 0, SEEK_SET) != 0) broken("lseek", -1);
  for (size_t place = 0; place < kFileBytes;) {
    const long got = TRY("read", EIO, read(fd, piece, kPiece));
    if (got <= 0) broken("read", got);
    for (long i = 0; i < got; ++i) {
      if (piece[i] != byte_at(number, place + (size_t)i)) broken("another byte was read", got);
    }
    place += (size_t)got;
  }
  close(fd);
  return NULL;
}

// --- one thread watches many pipes ---

enum { kWatched = 8, kRounds = 40 };
static int watched[kWatched][2];

static void* write_rounds(void* argument) {
  const int fd = watched[(uintptr_t)argument][1];
  for (int round = 0; round < kRounds; ++round) {
    send_piece(fd, (const unsigned char*)"r", 1);
    if (round % 5 == 0) usleep(300);
  }
  close(fd);
  return NULL;
}

static void* watch_pipes(void* argument) {
  const int set = (int)TRY("epoll_create1", 0, epoll_create1(EPOLL_CLOEXEC));
  pthread_t writers[kWatched];
  for (unsigned i = 0; i < kWatched; ++i) {
    TRY("pipe", 0, pipe2(watched[i], O_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    TRY("epoll_ctl", 0, epoll_ctl(set, EPOLL_CTL_ADD, watched[i][0], &event));
    writers[i] = start(write_rounds, (void*)(uintptr_t)i);
  }
  int bytes = 0;
  for (int open = kWatched; open > 0;) {
    struct epoll_event events[kWatched];
    const long count =
        TRY("epoll_wait", is_stopped ? EINTR : 0, epoll_wait(set, events, kWatched, -1));
    for (long i = 0; i < count; ++i) {
      char some[16];
      const int fd = watched[events[i].data.u32][0];
      const long got = TRY("read", 0, read(fd, some, sizeof some));
      if (got > 0) {
        bytes += (int)got;
      } else {
        TRY("epoll_ctl", 0, epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
        close(fd);
        --open;
      }
    }
  }
  if (bytes != kWatched * kRounds) broken("bytes of rounds are missing", bytes);
  for (unsigned i = 0; i < kWatched; ++i) join(writers[i]);
  close(set);
  return argument;
}

// --- threads that come and go ---

static void* end_at_once(void* argument) { return argument; }

static void* come_and_go(void* argument) {
  for (uintptr_t i = 0; i < 100; ++i) {
    const pthread_t thread = start(end_at_once, (void*)i);
    if (join(thread) != (void*)i) broken("another result", (long)i);
  }
  return argument;
}

int main(int argc, char** argv) {
  stream_bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) * 1024;
  is_stopped = argc > 2 && strcmp(argv[2], "stopped") == 0;
  laps = (uint32_t)(stream_bytes / 512);
  static struct stream streams[kStreams];
  pthread_t threads[kStreams + kRing + 4];
  size_t count = 0;
  ball[0] = 1;
  for (unsigned i = 0; i < kStreams; ++i) {
    streams[i].number = i;
    threads[count++] = start(run_stream, &streams[i]);
  }
  for (uintptr_t i = 0; i < kRing; ++i) threads[count++] = start(pass_ball, (void*)i);
  for (uintptr_t i = 0; i < 2; ++i) threads[count++] = start(use_file, (void*)i);
  threads[count++] = start(watch_pipes, NULL);
  threads[count++] = start(come_and_go, NULL);
  for (size_t i = 0; i < count; ++i) join(threads[i]);
  puts("every byte came");
  return 0;
}
