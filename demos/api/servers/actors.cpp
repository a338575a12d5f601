// actors: each is a fiber with a mailbox. A bank account serves one message at a time, so it needs
// no lock; two customers move money to and fro, and none is lost.
#include <tendril/tendril.hpp>

#include <cstdio>
#include <functional>

class Account {
 public:
  explicit Account(int balance)
      : balance_(balance), fiber_(tendril::spawn([this] {
          for (auto& message : mailbox_) message();
        })) {}
  ~Account() {
    mailbox_.shutdown();
    fiber_.join();
  }

  void deposit(int amount) {  // told, not asked: nobody waits
    mailbox_.put([this, amount] { balance_ += amount; });
  }
  bool withdraw(int amount) {  // asked: waits for the answer
    tendril::AsyncResult<bool> enough;
    mailbox_.put([&] {
      enough.set(balance_ >= amount);
      if (balance_ >= amount) balance_ -= amount;
    });
    return enough.get();
  }
  int balance() {
    tendril::AsyncResult<int> answer;
    mailbox_.put([&] { answer.set(balance_); });
    return answer.get();
  }

 private:
  int balance_;  // the fiber's alone
  tendril::SimpleQueue<std::function<void()>> mailbox_;
  tendril::Fiber<> fiber_;
};

int main() {
  Account ann(1000);
  Account bob(1000);
  {
    tendril::Scope customers;
    customers.spawn([&] {
      for (int i = 0; i < 500; ++i) {
        if (ann.withdraw(7)) bob.deposit(7);
      }
    });
    customers.spawn([&] {
      for (int i = 0; i < 500; ++i) {
        if (bob.withdraw(5)) ann.deposit(5);
      }
    });
  }
  std::printf("together they have %d\n", ann.balance() + bob.balance());
}
