// A bank with a bug: each access to the balance is locked, but not the two of a deposit together.
// What another thread deposits between them is lost. Ends with 1 when that has happened.
#include <pthread.h>
#include <stdio.h>

enum { kTellers = 3, kDeposits = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance;

static int read_balance(void) {
  pthread_mutex_lock(&lock);
  const int value = balance;
  pthread_mutex_unlock(&lock);
  return value;
}

static void write_balance(int value) {
  pthread_mutex_lock(&lock);
  balance = value;
  pthread_mutex_unlock(&lock);
}

static void* deposit(void* argument) {
  for (int i = 0; i < kDeposits; ++i) write_balance(read_balance() + 1);
  return argument;
}

int main(void) {
  pthread_t tellers[kTellers];
  for (int i = 0; i < kTellers; ++i) {
    if (pthread_create(&tellers[i], NULL, deposit, NULL) != 0) return 2;
  }
  for (int i = 0; i < kTellers; ++i) pthread_join(tellers[i], NULL);
  printf("deposited %d, balance %d\n", kTellers * kDeposits, read_balance());
  return read_balance() != kTellers * kDeposits;
}
