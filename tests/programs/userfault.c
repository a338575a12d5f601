// Page faults that another thread resolves (userfaultfd): who touches a page waits in the Linux
// kernel, and the others go on; also when it has computed for long before.
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "check.h"

enum { kPages = 64 };

static int faults = -1;
static long page;
static char *area, *source;

// Who is interrupted touches the page again, and tells of it again.
static void* resolves(void* argument) {
  for (int resolved = 0; resolved < kPages;) {
    struct pollfd readable = {faults, POLLIN, 0};
    CHECK_EQ(1, poll(&readable, 1, kBoundMs));
    struct uffd_msg message;
    if (read(faults, &message, sizeof message) == -1 && errno == EAGAIN) continue;
    CHECK_EQ(UFFD_EVENT_PAGEFAULT, message.event);
    const uintptr_t at = message.arg.pagefault.address & ~(uintptr_t)(page - 1);
    if ((int)((at - (uintptr_t)area) / (size_t)page) < resolved) continue;
    ++resolved;
    memset(source, resolved, (size_t)page);
    struct uffdio_copy copy = {.dst = at, .src = (uintptr_t)source, .len = (uint64_t)page};
    CHECK_OK(ioctl(faults, UFFDIO_COPY, &copy));
  }
  return argument;
}

static int computes;

static void compute_for(int64_t length) {
  const int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + length;
  while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) continue;
}

static void* touches(void* argument) {
  for (int i = 0; i < kPages; ++i) {
    if (computes) compute_for(i == 0 ? MS(50) : MS(1));
    CHECK_EQ(i + 1, area[i * page + 5]);
  }
  return argument;
}

static void touch_fresh_area(void) {
  const size_t size = (size_t)page * kPages;
  area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(area != MAP_FAILED);
  struct uffdio_register range = {.range = {(uintptr_t)area, size},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
  CHECK_OK(ioctl(faults, UFFDIO_REGISTER, &range));
  pthread_t resolving = start_thread(resolves, NULL);
  pthread_t touching = start_thread(touches, NULL);
  join_thread(touching);
  join_thread(resolving);
  CHECK_OK(munmap(area, size));
}

int main(void) {
  be_threaded();
  page = sysconf(_SC_PAGESIZE);
  faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (faults >= 0) {  // else it is not allowed here
    struct uffdio_api api = {.api = UFFD_API};
    CHECK_OK(ioctl(faults, UFFDIO_API, &api));
    source = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(source != MAP_FAILED);
    for (int round = 0; round < 2; ++round) touch_fresh_area();
  }
  pass("faults");
  computes = 1;
  if (faults >= 0) touch_fresh_area();
  pass("faults of who computes");
  return 0;
}
