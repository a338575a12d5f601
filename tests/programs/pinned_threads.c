// A thread runs on the processors that its affinity allows and on no other: by its own call, by
// another thread's, and by the attributes it was made with; and so do the threads that it makes.
#include "check.h"

enum { kLooks = 2000 };

static cpu_set_t possible;
static int cpus[CPU_SETSIZE];
static int cpu_count;
static volatile int stop;

static void only(cpu_set_t* set, int cpu) {
  CPU_ZERO(set);
  CPU_SET(cpu, set);
}

static void* stays_on(void* argument) {
  const int cpu = *(int*)argument;
  for (int look = 0; look < kLooks; ++look) {
    CHECK_EQ(cpu, sched_getcpu());
    if (look % 100 == 0) sched_yield();
    if (look % 500 == 0) settle();
  }
  return argument;
}

static void* pins_itself(void* argument) {
  cpu_set_t mine;
  only(&mine, *(int*)argument);
  CHECK_OK(sched_setaffinity(0, sizeof mine, &mine));
  stays_on(argument);
  join_thread(start_thread(stays_on, argument));
  return argument;
}

static volatile int runs;

static void* computes(void* argument) {
  while (!stop) runs = 1;
  return argument;
}

// Computing all the time, it is where it may be soon after another has said so.
static volatile int where;
static void* tells_where(void* argument) {
  while (!stop) where = sched_getcpu();
  return argument;
}

static sem_t go;
static void* waits_then_stays(void* argument) {
  sem_take(&go);
  return stays_on(argument);
}

int main(void) {
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_OK(sched_getaffinity(0, sizeof possible, &possible));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &possible)) cpus[cpu_count++] = cpu;
  }
  pthread_t computing = start_thread(computes, NULL);
  pthread_t telling = start_thread(tells_where, NULL);
  pthread_t pinned[4], attributed[4], waiting[4];
  pthread_attr_t attributes;
  CHECK_RC(pthread_attr_init(&attributes));
  for (int i = 0; i < 4; ++i) {
    int* cpu = &cpus[i % cpu_count];
    cpu_set_t set;
    only(&set, *cpu);
    pinned[i] = start_thread(pins_itself, cpu);
    CHECK_RC(pthread_attr_setaffinity_np(&attributes, sizeof set, &set));
    CHECK_RC(pthread_create(&attributed[i], &attributes, stays_on, cpu));
    waiting[i] = start_thread(waits_then_stays, cpu);
    CHECK_RC(pthread_setaffinity_np(waiting[i], sizeof set, &set));
  }
  for (int i = 0; i < 4; ++i) CHECK_OK(sem_post(&go));
  for (int i = 0; i < 4; ++i) {
    join_thread(pinned[i]);
    join_thread(attributed[i]);
    join_thread(waiting[i]);
  }
  for (int i = 0; i < cpu_count; ++i) {
    cpu_set_t set;
    only(&set, cpus[i]);
    CHECK_RC(pthread_setaffinity_np(telling, sizeof set, &set));
    const int64_t deadline = mono_ns() + MS(kBoundMs);
    for (int quiet = 0; quiet < 20; where == cpus[i] ? ++quiet : (quiet = 0)) {
      CHECK(mono_ns() < deadline);
      settle();
    }
  }
  stop = 1;
  join_thread(telling);
  join_thread(computing);
  cpu_set_t now;
  CHECK_OK(sched_getaffinity(0, sizeof now, &now));
  CHECK(CPU_EQUAL(&possible, &now));
  puts("pinned");
  return 0;
}
