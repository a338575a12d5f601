// POSIX message queues: blocking receive and send, priorities, timeouts, notification by a thread.
#include <mqueue.h>

#include "check.h"

static mqd_t queue;
static sem_t notified;

static void* receives(void* argument) {
  char text[32] = {0};
  unsigned priority = 0;
  CHECK_EQ(5, mq_receive(queue, text, sizeof text, &priority));
  CHECK_STR("hello", text);
  CHECK_EQ(3, priority);
  return argument;
}

static void* sends_three(void* argument) {
  CHECK_OK(mq_send(queue, "low", 3, 1));
  CHECK_OK(mq_send(queue, "high", 4, 9));
  CHECK_OK(mq_send(queue, "more", 4, 5));  // blocks: the queue holds two
  return argument;
}

static void on_message(union sigval value) {
  CHECK_EQ(77, value.sival_int);
  CHECK_OK(sem_post(&notified));
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&notified, 0, 0));
  char name[64], text[33] = {0};
  snprintf(name, sizeof name, "/tendril-test-%d", (int)getpid());
  struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 32};
  queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
  CHECK_OK(queue);
  CHECK_OK(mq_unlink(name));

  pthread_t thread = start_thread(receives, NULL);
  settle();
  CHECK_OK(mq_send(queue, "hello", 5, 3));
  join_thread(thread);
  pass("a blocked receive");

  thread = start_thread(sends_three, NULL);
  for (int64_t begin = mono_ns(); attr.mq_curmsgs < 2;) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(500);
    CHECK_OK(mq_getattr(queue, &attr));
  }
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  const char* expected[] = {"high", "more", "low"};
  for (int i = 0; i < 3; ++i) {
    memset(text, 0, sizeof text);
    CHECK(mq_receive(queue, text, 32, NULL) > 0);
    CHECK_STR(expected[i], text);
    if (i == 0) join_thread(thread);
  }
  pass("a blocked send, and priorities");

  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(30));
  CHECK_ERRNO(ETIMEDOUT, mq_timedreceive(queue, text, 32, NULL, &deadline));
  CHECK(now_ns(CLOCK_REALTIME) >= to_ns(deadline));
  pass("a timeout");

  struct sigevent event = {.sigev_notify = SIGEV_THREAD};
  event.sigev_value.sival_int = 77;
  event.sigev_notify_function = on_message;
  CHECK_OK(mq_notify(queue, &event));
  CHECK_OK(mq_send(queue, "x", 1, 0));
  sem_take(&notified);
  pass("notification by a thread");
  CHECK_OK(mq_close(queue));
  return 0;
}
