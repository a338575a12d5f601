// Rights to memory with a protection key are each thread's own: over waits and switches, in system
// calls, in signal handlers and in the threads that it makes.
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/msg.h>

#include "check.h"

enum { kThreads = 8, kRounds = 200, kPage = 4096 };

static int key;
static char* page;
static volatile int rights_in_handler;
static volatile sig_atomic_t handled;

static void look(int signal) {
  (void)signal;
  rights_in_handler = pkey_get(key);
  CHECK_OK(pkey_set(key, PKEY_DISABLE_WRITE));  // for as long as the handler runs
  sched_yield();
  CHECK_EQ(PKEY_DISABLE_WRITE, pkey_get(key));
  ++handled;
}

static void* gives_rights(void* rights) {
  *(int*)rights = pkey_get(key);
  return NULL;
}

static void* keeps_its_own(void* argument) {
  int mine = (int)(intptr_t)argument % 3;
  CHECK_OK(pkey_set(key, (unsigned)mine));
  for (int i = 0; i < kRounds; ++i) {
    sched_yield();
    CHECK_EQ(mine, pkey_get(key));
    if (i % 20 == 0) {
      usleep(500);
      CHECK_EQ(mine, pkey_get(key));
    }
    for (volatile int j = 0; j < 2000; ++j) {
    }
    CHECK_EQ(mine, pkey_get(key));
    if (mine != PKEY_DISABLE_ACCESS) {
      CHECK_EQ('k', *(volatile char*)page);
    }
  }
  int rights = -1;
  join_thread(start_thread(gives_rights, &rights));
  CHECK_EQ(mine, rights);
  rights_in_handler = -1;
  return NULL;
}

static int ends[2];
static pid_t reader_tid;

static void* reads_there(void* argument) {
  int mine = (int)(intptr_t)argument;
  CHECK_OK(pkey_set(key, (unsigned)mine));
  __atomic_store_n(&reader_tid, gettid(), __ATOMIC_SEQ_CST);
  if (mine == 0) {
    CHECK_EQ(1, read(ends[0], page + 1, 1));
  } else {
    CHECK_ERRNO(EFAULT, read(ends[0], page + 1, 1));
  }
  CHECK_EQ(mine, pkey_get(key));
  return NULL;
}

static int queue;
struct message {
  long type;
  char text[8];
};

static void* receives_there(void* argument) {
  int mine = (int)(intptr_t)argument;
  CHECK_OK(pkey_set(key, (unsigned)mine));
  __atomic_store_n(&reader_tid, gettid(), __ATOMIC_SEQ_CST);
  struct message* message = (struct message*)(page + 64);
  if (mine == 0) {
    CHECK_EQ(8, msgrcv(queue, message, 8, 0, 0));
  } else {
    CHECK_ERRNO(EFAULT, msgrcv(queue, message, 8, 0, 0));
  }
  return NULL;
}

static void in_calls(void) {
  CHECK_OK(pipe(ends));
  queue = msgget(IPC_PRIVATE, 0600);
  CHECK_OK(queue);
  struct message message = {1, "message"};
  const int ways[] = {0, PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE};
  for (int i = 0; i < 3; ++i) {
    void* way = (void*)(intptr_t)ways[i];
    pthread_t reader = start_thread(reads_there, way);
    settle_blocked(&reader_tid);
    CHECK_EQ(1, write(ends[1], "x", 1));
    join_thread(reader);
    pthread_t receiver = start_thread(receives_there, way);
    settle_blocked(&reader_tid);
    CHECK_OK(msgsnd(queue, &message, 8, 0));
    join_thread(receiver);
  }
  CHECK_OK(msgctl(queue, IPC_RMID, NULL));
}

static sem_t may_go;

static void* waits(void* argument) {
  CHECK_OK(pkey_set(key, 0));
  __atomic_store_n(&reader_tid, gettid(), __ATOMIC_SEQ_CST);
  sem_take(&may_go);
  CHECK_EQ(0, pkey_get(key));
  return argument;
}

static void in_handlers(void) {
  CHECK_OK(pkey_set(key, 0));
  CHECK_OK(raise(SIGUSR1));
  CHECK_EQ(1, handled);
  CHECK_EQ(PKEY_DISABLE_ACCESS, rights_in_handler);
  CHECK_EQ(0, pkey_get(key));
  CHECK_OK(sem_init(&may_go, 0, 0));
  pthread_t thread = start_thread(waits, NULL);
  settle_blocked(&reader_tid);
  rights_in_handler = -1;
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  int64_t begin = mono_ns();
  while (handled < 2) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(1000);
  }
  CHECK_EQ(PKEY_DISABLE_ACCESS, rights_in_handler);
  CHECK_OK(sem_post(&may_go));
  join_thread(thread);
}

static sigjmp_buf out;
static volatile int fault_code, fault_key;

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)context;
  fault_code = info->si_code;
  fault_key = (int)info->si_pkey;
  siglongjmp(out, 1);
}

static void* may_not(void* argument) {
  CHECK_OK(pkey_set(key, PKEY_DISABLE_ACCESS));
  sched_yield();
  if (sigsetjmp(out, 1) == 0) {
    *(volatile char*)page = 'n';
    FAIL("the page was written to");
  }
  CHECK_EQ(SEGV_PKUERR, fault_code);
  CHECK_EQ(key, fault_key);
  return argument;
}

static void check_all(void) {
  pthread_t threads[kThreads];
  CHECK_OK(pkey_set(key, 0));
  *page = 'k';
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(keeps_its_own, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(0, pkey_get(key));
  int second = pkey_alloc(0, PKEY_DISABLE_WRITE);
  CHECK_OK(second);
  CHECK_EQ(PKEY_DISABLE_WRITE, pkey_get(second));
  CHECK_EQ(0, pkey_get(key));
  CHECK_OK(pkey_free(second));
  in_calls();
  in_handlers();
  join_thread(start_thread(may_not, NULL));
  CHECK_EQ('k', *page);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK_EQ(0, pkey_get(key));
    be_threaded();
    CHECK_EQ(0, pkey_get(key));
    join_thread(start_thread(may_not, NULL));
    _exit(0);
  }
  CHECK_EXITED(0, child);
}

int main(void) {
  CHECK(signal(SIGUSR1, look) != SIG_ERR);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  be_threaded();
  if (key == -1) {
    // A CPU or a kernel without them has nothing to differ in.
    CHECK(errno == ENOSPC || errno == ENOSYS || errno == EINVAL);
  } else {
    page = mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_OK(pkey_mprotect(page, kPage, PROT_READ | PROT_WRITE, key));
    check_all();
  }
  pass("each thread has its own rights");
  return 0;
}
