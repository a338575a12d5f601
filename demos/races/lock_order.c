// A bank with a bug: a transfer locks the account that pays, then the one that is paid. Two
// transfers in opposite directions may wait for each other for ever.
#include <pthread.h>
#include <stdio.h>

enum { kTransfers = 3 };

struct account {
  pthread_mutex_t lock;
  int balance;
};

static struct account alice = {PTHREAD_MUTEX_INITIALIZER, 100};
static struct account bob = {PTHREAD_MUTEX_INITIALIZER, 100};

static void transfer(struct account* from, struct account* to) {
  pthread_mutex_lock(&from->lock);
  pthread_mutex_lock(&to->lock);
  --from->balance;
  ++to->balance;
  pthread_mutex_unlock(&to->lock);
  pthread_mutex_unlock(&from->lock);
}

static void* alice_pays(void* argument) {
  for (int i = 0; i < kTransfers; ++i) transfer(&alice, &bob);
  return argument;
}

static void* bob_pays(void* argument) {
  for (int i = 0; i < kTransfers; ++i) transfer(&bob, &alice);
  return argument;
}

int main(void) {
  pthread_t payers[2];
  if (pthread_create(&payers[0], NULL, alice_pays, NULL) != 0 ||
      pthread_create(&payers[1], NULL, bob_pays, NULL) != 0) {
    return 2;
  }
  for (int i = 0; i < 2; ++i) pthread_join(payers[i], NULL);
  printf("alice %d, bob %d\n", alice.balance, bob.balance);
  return 0;
}
