// Comes to a standstill in the way that its argument names, or only seems to.
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
static sem_t slots;
static pthread_barrier_t both;
static pthread_t main_thread;

static void name_self(const char* name) { pthread_setname_np(pthread_self(), name); }

static void take_second(pthread_mutex_t* second) { pthread_mutex_lock(second); }

static void* take_a_then_b(void* argument) {
  name_self("first");
  pthread_mutex_lock(&a);
  pthread_barrier_wait(&both);
  take_second(&b);
  return argument;
}

static void* take_b_then_a(void* argument) {
  name_self("second");
  pthread_mutex_lock(&b);
  pthread_barrier_wait(&both);
  take_second(&a);
  return argument;
}

static void start(pthread_t* thread, void* (*function)(void*)) {
  pthread_create(thread, NULL, function, NULL);
}

static void* nothing(void* argument) { return argument; }

static void* join_main(void* argument) {
  pthread_join(main_thread, NULL);
  return argument;
}

static void wait_for_ready(void) {
  pthread_mutex_lock(&a);
  pthread_cond_wait(&ready, &a);
  pthread_mutex_unlock(&a);
}

static void* wait_for_slot(void* argument) {
  sem_wait(&slots);
  return argument;
}

static void* die_with_lock(void* argument) {
  pthread_mutex_lock(&a);
  return argument;
}

static void* lock_twice(void* argument) {
  pthread_mutex_lock(&a);
  take_second(&a);
  return argument;
}

static void* read_table(void* argument) {
  pthread_rwlock_rdlock(&table);
  return argument;
}

static void* sleep_a_while(void* argument) {
  usleep(300 * 1000);
  sem_post(&slots);
  return argument;
}

static void* wait_for_signal(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  int signal;
  sigwait(&set, &signal);
  return argument;
}

static void* read_socket(void* argument) {
  char byte;
  return read(*(int*)argument, &byte, 1) == 1 ? argument : NULL;
}

static void* wait_for_any_signal(void* argument) {
  pause();
  return argument;
}

static void* lock_file(void* argument) {
  return flock(*(int*)argument, LOCK_EX) == 0 ? argument : NULL;
}

static void* wait_for_shared_slot(void* argument) {
  sem_wait(argument);
  return argument;
}

static void in_child(void (*act)(void* argument), void* argument) {
  if (fork() != 0) return;
  usleep(300 * 1000);
  act(argument);
  _exit(0);
}

static void send_signal(void* signal) { kill(getppid(), *(int*)signal); }
static void send_byte(void* end) {
  if (write(*(int*)end, "x", 1) != 1) _exit(1);
}
static void do_nothing(void* argument) { (void)argument; }
static void post_shared(void* semaphore) { sem_post(semaphore); }

static void post(int signal) {
  (void)signal;
  sem_post(&slots);
}

int main(int count, char** arguments) {
  const char* how = count > 1 ? arguments[1] : "";
  pthread_t threads[2];
  main_thread = pthread_self();
  sem_init(&slots, 0, 0);
  pthread_barrier_init(&both, NULL, 2);
  puts("begun");
  fflush(stdout);

  // Dead ends
  if (strcmp(how, "lock_order") == 0) {
    start(&threads[0], take_a_then_b);
    start(&threads[1], take_b_then_a);
    pthread_join(threads[0], NULL);
  } else if (strcmp(how, "handled_lock_order") == 0) {
    signal(SIGTERM, post);  // which could not help
    start(&threads[0], take_a_then_b);
    start(&threads[1], take_b_then_a);
    pthread_join(threads[0], NULL);
  } else if (strcmp(how, "without_main") == 0) {
    start(&threads[0], take_a_then_b);
    start(&threads[1], take_b_then_a);
    pthread_exit(NULL);
  } else if (strcmp(how, "self_lock") == 0) {
    start(&threads[0], lock_twice);
    pthread_join(threads[0], NULL);
  } else if (strcmp(how, "join_cycle") == 0) {
    start(&threads[0], join_main);
    pthread_join(threads[0], NULL);
  } else if (strcmp(how, "lost_signal") == 0) {
    start(&threads[0], nothing);
    pthread_join(threads[0], NULL);
    pthread_cond_signal(&ready);
    wait_for_ready();
  } else if (strcmp(how, "semaphore") == 0) {
    start(&threads[0], wait_for_slot);
    pthread_join(threads[0], NULL);
  } else if (strcmp(how, "dead_owner") == 0) {
    start(&threads[0], die_with_lock);
    pthread_join(threads[0], NULL);
    pthread_mutex_lock(&a);
  } else if (strcmp(how, "rwlock") == 0) {
    pthread_rwlock_wrlock(&table);
    start(&threads[0], read_table);
    pthread_join(threads[0], NULL);
  }

  // None: each goes on after a while
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  signal(SIGALRM, post);
  signal(SIGCHLD, post);
  const struct itimerval soon = {{0, 0}, {0, 300 * 1000}};
  const struct itimerspec soon_too = {{0, 0}, {0, 300 * 1000 * 1000}};
  int ends[2];
  int number;
  if (strcmp(how, "sleeper") == 0) {
    start(&threads[0], sleep_a_while);
    sem_wait(&slots);
  } else if (strcmp(how, "deadline") == 0) {
    start(&threads[0], wait_for_slot);
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 1;
    pthread_mutex_lock(&a);
    pthread_cond_timedwait(&ready, &a, &limit);
    sem_post(&slots);
  } else if (strcmp(how, "socket") == 0) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    in_child(send_byte, &ends[1]);
    pthread_create(&threads[0], NULL, read_socket, &ends[0]);
  } else if (strcmp(how, "sigwait") == 0) {
    number = SIGUSR1;
    in_child(send_signal, &number);
    start(&threads[0], wait_for_signal);
  } else if (strcmp(how, "pause") == 0) {
    number = SIGALRM;
    in_child(send_signal, &number);
    start(&threads[0], wait_for_any_signal);
    sigaddset(&usr1, SIGALRM);  // for the other to take
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
  } else if (strcmp(how, "handler") == 0) {
    number = SIGALRM;
    in_child(send_signal, &number);
    start(&threads[0], wait_for_slot);
  } else if (strcmp(how, "file_lock") == 0) {
    FILE* file = tmpfile();
    if (file == NULL) return 1;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    ends[0] = open(path, O_RDWR);
    if (ends[0] < 0 || flock(fileno(file), LOCK_EX) != 0) return 1;
    in_child(do_nothing, NULL);  // keeps it until it ends
    fclose(file);
    pthread_create(&threads[0], NULL, lock_file, &ends[0]);
  } else if (strcmp(how, "shared_semaphore") == 0) {
    sem_t* shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || sem_init(shared, 1, 0) != 0) return 1;
    in_child(post_shared, shared);
    pthread_create(&threads[0], NULL, wait_for_shared_slot, shared);
  } else if (strcmp(how, "alarm") == 0) {
    start(&threads[0], wait_for_slot);
    setitimer(ITIMER_REAL, &soon, NULL);
  } else if (strcmp(how, "timer") == 0) {
    start(&threads[0], wait_for_slot);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &soon_too, NULL);
  } else if (strcmp(how, "child") == 0) {
    in_child(do_nothing, NULL);
    start(&threads[0], wait_for_slot);
  } else {
    return 2;
  }
  pthread_join(threads[0], NULL);
  puts("over");
  return 0;
}
