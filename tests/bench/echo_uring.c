// Echo by an io_uring loop: the limit of a hub that would wait through io_uring instead of epoll.
// One request to receive serves a connection for good, with buffers from a shared ring, and what
// it receives is sent from where it lies. The only system call of the loop hands over all sends of
// a batch and takes what was received meanwhile; the kernel does its share of the work in there and
// nowhere else (DEFER_TASKRUN). Descriptors are the ring's own, so no file is looked up or counted.
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "echo_server.h"

enum {
  kRequests = 4096,
  // A power of two and not many more than a batch needs: they are used in turn, so that more are
  // colder. A connection that finds none waits for the next one that is given back.
  kBuffers = 1024,
  kNone = -1,
};

enum operation { kAccept, kReceive, kSend, kClose };

struct connection {
  int sending;       // First of the received buffers, which is being sent; or kNone.
  int last;          // Last of them.
  int next_starved;  // In `starved`.
  bool ended;        // Nothing more is received: closed when all is sent.
};

struct buffer {
  int next;  // Received after it on the same connection, or kNone.
  int length;
};

static struct io_uring ring;
static struct connection* connections;  // By their index among the ring's descriptors.
static struct buffer buffers[kBuffers];
static char memory[kBuffers][kEchoBuffer] __attribute__((aligned(4096)));
static struct io_uring_buf_ring* free_buffers;
static int starved = kNone;  // Connections that do not receive, for want of a buffer.

static struct io_uring_sqe* new_request(void) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (sqe) return sqe;
  if (io_uring_submit(&ring) < 0) die("io_uring_submit");
  return io_uring_get_sqe(&ring);
}

static void name(struct io_uring_sqe* sqe, enum operation operation, int connection) {
  io_uring_sqe_set_data64(sqe, (__u64)connection << 2 | operation);
}

static void accept_for_good(int listener) {
  struct io_uring_sqe* sqe = new_request();
  io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
  name(sqe, kAccept, listener);
}

static void receive_for_good(int connection) {
  struct io_uring_sqe* sqe = new_request();
  io_uring_prep_recv_multishot(sqe, connection, NULL, 0, 0);
  sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
  sqe->buf_group = 0;
  name(sqe, kReceive, connection);
}

static void send_first(int connection) {
  int first = connections[connection].sending;
  struct io_uring_sqe* sqe = new_request();
  io_uring_prep_send(sqe, connection, memory[first], (size_t)buffers[first].length, MSG_WAITALL);
  sqe->flags |= IOSQE_FIXED_FILE;
  name(sqe, kSend, connection);
}

static void close_connection(int connection) {
  struct io_uring_sqe* sqe = new_request();
  io_uring_prep_close_direct(sqe, (unsigned)connection);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  name(sqe, kClose, connection);
}

static void give_back(int buffer) {
  io_uring_buf_ring_add(free_buffers, memory[buffer], kEchoBuffer, (unsigned short)buffer,
                        kBuffers - 1, 0);
  io_uring_buf_ring_advance(free_buffers, 1);
  if (starved != kNone) {
    int connection = starved;
    starved = connections[connection].next_starved;
    receive_for_good(connection);
  }
}

static void on_received(int connection, int result, unsigned flags) {
  struct connection* c = &connections[connection];
  if (result > 0) {
    int buffer = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
    buffers[buffer] = (struct buffer){.next = kNone, .length = result};
    if (c->sending == kNone) {
      c->sending = c->last = buffer;
      send_first(connection);
    } else {
      buffers[c->last].next = buffer;
      c->last = buffer;
    }
  }
  if (flags & IORING_CQE_F_MORE) return;
  if (result == -ENOBUFS) {
    c->next_starved = starved;
    starved = connection;
  } else if (result > 0) {
    receive_for_good(connection);
  } else {
    c->ended = true;
    if (c->sending == kNone) close_connection(connection);
  }
}

static void on_sent(int connection, int result) {
  struct connection* c = &connections[connection];
  int sent = c->sending;
  // The client is gone: a receive will say so too, and what is left to send fails likewise.
  (void)result;
  c->sending = buffers[sent].next;
  give_back(sent);
  if (c->sending != kNone) {
    send_first(connection);
  } else if (c->ended) {
    close_connection(connection);
  }
}

static void on_completion(const struct io_uring_cqe* cqe) {
  int index = (int)(cqe->user_data >> 2);
  switch ((enum operation)(cqe->user_data & 3)) {
    case kAccept:
      if (cqe->res < 0) {
        errno = -cqe->res;
        die("accept");
      }
      connections[cqe->res] = (struct connection){.sending = kNone, .last = kNone};
      receive_for_good(cqe->res);
      if (!(cqe->flags & IORING_CQE_F_MORE)) accept_for_good(index);
      break;
    case kReceive:
      on_received(index, cqe->res, cqe->flags);
      break;
    case kSend:
      on_sent(index, cqe->res);
      break;
    case kClose:
      break;
  }
}

static void set_up(void) {
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL};
  struct rlimit limit;
  if ((errno = -io_uring_queue_init_params(kRequests, &ring, &parameters))) die("io_uring_setup");
  if (io_uring_register_ring_fd(&ring) < 0) die("io_uring_register_ring_fd");
  getrlimit(RLIMIT_NOFILE, &limit);
  unsigned descriptors = limit.rlim_cur < 65536 ? (unsigned)limit.rlim_cur : 65536;
  connections = calloc(descriptors, sizeof *connections);
  if (!connections || (errno = -io_uring_register_files_sparse(&ring, descriptors))) die("files");
  free_buffers = aligned_alloc(4096, kBuffers * sizeof(struct io_uring_buf));
  if (!free_buffers) die("aligned_alloc");
  io_uring_buf_ring_init(free_buffers);
  struct io_uring_buf_reg group = {.ring_addr = (unsigned long)free_buffers,
                                   .ring_entries = kBuffers};
  if ((errno = -io_uring_register_buf_ring(&ring, &group, 0))) die("io_uring_register_buf_ring");
  for (int buffer = 0; buffer < kBuffers; buffer++) give_back(buffer);
}

int main(void) {
  int listener = listen_and_announce();
  set_up();
  accept_for_good(listener);
  for (;;) {
    int error = -io_uring_submit_and_wait(&ring, 1);
    if (error > 0 && error != EINTR) die("io_uring_enter");
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      on_completion(cqe);
      seen++;
    }
    io_uring_cq_advance(&ring, seen);
  }
}
