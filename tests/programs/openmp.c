// OpenMP: libgomp waits by system calls of its own, which no libc function issues.
#include <omp.h>

#include "check.h"

int main(void) {
  omp_set_num_threads(4);
  omp_set_dynamic(0);
  long sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (int i = 1; i <= 100000; ++i) sum += i;
  CHECK_EQ(5000050000, sum);
  pass("a parallel loop");

  int counts[4] = {0}, entered = 0;
#pragma omp parallel
  {
    for (int round = 0; round < 20; ++round) {
      ++counts[omp_get_thread_num()];
#pragma omp barrier
      for (int i = 0; i < 4; ++i) CHECK_EQ(round + 1, counts[i]);
#pragma omp barrier
#pragma omp critical
      ++entered;
    }
  }
  CHECK_EQ(80, entered);
  pass("barriers and critical sections");

  int results[50] = {0};
#pragma omp parallel
#pragma omp single
  for (int i = 0; i < 50; ++i) {
#pragma omp task firstprivate(i)
    {
      usleep(100);
      results[i] = i * i;
    }
  }
  for (int i = 0; i < 50; ++i) CHECK_EQ(i * i, results[i]);
  pass("tasks");
  return 0;
}
