// One-shot requests of libuv on the loop of the calling OS thread: work on libuv's thread pool, and
// look-ups of names. Not for interposed processes.
//
// Every request is destroyed after `done` has run, on the hub; nothing may be thrown there.
#pragma once

#include <netdb.h>

namespace tendril::rt {

struct WorkRequest {
  virtual ~WorkRequest() = default;
  virtual void run() noexcept = 0;   // on a thread of the pool, which is no worker
  virtual void done() noexcept = 0;  // on the hub
};

// Takes the request over. Returns 0 or an error number; then the request was destroyed.
int queue_work(WorkRequest* request) noexcept;

struct LookupRequest {
  virtual ~LookupRequest() = default;
  // On the hub. `error` is 0 or one of EAI_*; the list is the callee's, for freeaddrinfo.
  virtual void done(int error, addrinfo* list) noexcept = 0;
};

// As getaddrinfo; takes the request over as queue_work does.
int look_up(LookupRequest* request, const char* node, const char* service,
            const addrinfo& hints) noexcept;

}  // namespace tendril::rt
