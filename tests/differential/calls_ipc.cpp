// Semaphores and message queues of System V, message queues of POSIX.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

Argument identifier(std::vector<int> World::*list) {
  return [=](Builder& b) {
    const std::vector<int>& known = b.world.*list;
    if (known.empty() || b.is_wild()) return b.one_of({-1, 0x7ffffff0});
    const unsigned index = b.random.below(static_cast<unsigned>(known.size()));
    return b.named(("id" + std::to_string(index)).c_str(), known[index]);
  };
}
std::function<void(Builder&)> remembers(std::vector<int> World::*list) {
  return [=](Builder& b) {
    b.call.value_varies = true;
    b.call.after = [&world = b.world, list](long result) {
      if (result >= 0) (world.*list).push_back(static_cast<int>(result));
    };
  };
}

Argument operations() {
  return [](Builder& b) {
    const unsigned count = b.random.one_of(std::vector<unsigned>{1, 1, 2, 0});
    std::vector<sembuf> list(count);
    b.call.text += ", [(";
    for (sembuf& each : list) {
      each.sem_num =
          static_cast<unsigned short>(b.is_wild() ? b.one_of({9, 60000}) : b.one_of({0, 1}));
      each.sem_op = static_cast<short>(b.one_of({-1, -1, 0, 1, 2}));
      each.sem_flg = static_cast<short>(b.one_of({0, 0, IPC_NOWAIT}));
    }
    b.call.text += ")]";
    const long at = b.pointer(list.data(), list.size() * sizeof(sembuf), Shown::kNever);
    b.last_size = count;
    return at;
  };
}
Argument operation_count() {
  return [](Builder& b) {
    return b.is_wild() ? b.one_of({0, 100000, -1}) : b.number(static_cast<long>(b.last_size));
  };
}

Argument message_in() {
  return [](Builder& b) {
    struct {
      long type;
      char text[40];
    } message;
    memset(&message, 'm', sizeof message);
    message.type = b.is_wild() ? -1 : 1 + b.random.below(3);
    const long at = b.structure(message, Shown::kNever);
    b.call.text += "{type " + std::to_string(message.type) + "}";
    return at;
  };
}

Argument queue_name() {
  return [](Builder& b) {
    const unsigned index = b.random.below(World::kQueueNames);
    const std::string name = b.world.queue_name(index);
    const long at = b.pointer(name.c_str(), name.size() + 1, Shown::kNever);
    b.call.text += "{queue " + std::to_string(index) + "}";
    return at;
  };
}
Argument attributes() {
  return [](Builder& b) {
    if (b.random.chance(30)) return b.null();
    mq_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.mq_maxmsg = b.is_wild() ? -1 : 2;
    attributes.mq_msgsize = 64;
    return b.structure(attributes, Shown::kNever);
  };
}

// mq_timed*: absolute, on the real-time clock.
Argument absolute_limit() {
  return [](Builder& b) {
    if (b.random.chance(50)) return b.null();
    timespec value;
    clock_gettime(CLOCK_REALTIME, &value);
    const char* text = "{late}";
    value.tv_sec += 100;
    if (b.is_wild()) {
      value = {0, 1000000000};
      text = "{wrong}";
    } else if (b.random.chance(50)) {
      value = {1, 0};
      text = "{past}";
      b.call.ends_by_itself = true;
    }
    const long at = b.structure(value, Shown::kNever);
    b.call.text += text;
    return at;
  };
}

}  // namespace

const std::vector<CallSpec>& ipc_calls() {
  constexpr auto kSets = &World::semaphore_sets;
  constexpr auto kQueues = &World::message_queues;
  static const std::vector<CallSpec> calls = {
      {"semget",
       SYS_semget,
       kIpcFamily,
       4,
       {constant(IPC_PRIVATE), one_of({2, 2, 2, 0, -1}), constant(0600 | IPC_CREAT)},
       remembers(kSets),
       nullptr},
      {"semop",
       SYS_semop,
       kIpcFamily,
       10,
       {identifier(kSets), operations(), operation_count()},
       {},
       nullptr},
      {"semtimedop",
       SYS_semtimedop,
       kIpcFamily,
       5,
       {identifier(kSets), operations(), operation_count(), time_limit()},
       {},
       nullptr},
      {"semctl.GETVAL",
       SYS_semctl,
       kIpcFamily,
       3,
       {identifier(kSets), one_of({0, 1, 9}), constant(GETVAL), constant(0)},
       {},
       nullptr},
      {"semctl.SETVAL",
       SYS_semctl,
       kIpcFamily,
       3,
       {identifier(kSets), one_of({0, 1, 9}), constant(SETVAL), one_of({0, 1, 3, -1})},
       {},
       nullptr},
      {"semctl.GETNCNT",
       SYS_semctl,
       kIpcFamily,
       2,
       {identifier(kSets), one_of({0, 1}), constant(GETNCNT), constant(0)},
       {},
       nullptr},
      {"semctl.GETZCNT",
       SYS_semctl,
       kIpcFamily,
       2,
       {identifier(kSets), one_of({0, 1}), constant(GETZCNT), constant(0)},
       {},
       nullptr},
      {"semctl.RMID",
       SYS_semctl,
       kIpcFamily,
       1,
       {identifier(kSets), constant(0), constant(IPC_RMID), constant(0)},
       {},
       nullptr},
      {"msgget",
       SYS_msgget,
       kIpcFamily,
       4,
       {constant(IPC_PRIVATE), constant(0600 | IPC_CREAT)},
       remembers(kQueues),
       nullptr},
      {"msgsnd",
       SYS_msgsnd,
       kIpcFamily,
       8,
       {identifier(kQueues), message_in(), one_of({0, 1, 40, -1, 100000}),
        one_of({0, 0, IPC_NOWAIT})},
       {},
       nullptr},
      {"msgrcv",
       SYS_msgrcv,
       kIpcFamily,
       8,
       {identifier(kQueues), out({48}), one_of({0, 1, 40, -1}), one_of({0, 0, 1, 2, -2}),
        one_of({0, 0, IPC_NOWAIT, MSG_NOERROR, MSG_NOERROR | IPC_NOWAIT, MSG_EXCEPT})},
       {},
       nullptr},
      {"msgctl.RMID",
       SYS_msgctl,
       kIpcFamily,
       1,
       {identifier(kQueues), constant(IPC_RMID), constant(0)},
       {},
       nullptr},
      {"mq_open",
       SYS_mq_open,
       kIpcFamily,
       4,
       {queue_name(),
        one_of({O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_NONBLOCK, O_RDONLY,
                O_WRONLY, O_RDWR | O_CREAT | O_EXCL}),
        constant(0600), attributes()},
       makes(kQueue),
       nullptr},
      {"mq_unlink", SYS_mq_unlink, kIpcFamily, 1, {queue_name()}, {}, nullptr},
      {"mq_timedsend",
       SYS_mq_timedsend,
       kIpcFamily,
       7,
       {fd(kQueue, Way::kOut), in({0, 1, 8, 64, 65}), size(), one_of({0, 1, 5, 40000}),
        absolute_limit()},
       {},
       nullptr},
      {"mq_timedreceive",
       SYS_mq_timedreceive,
       kIpcFamily,
       7,
       {fd(kQueue, Way::kIn), out({64, 64, 64, 10, 100}), size(), out({4}), absolute_limit()},
       {},
       nullptr},
      {"mq_getsetattr",
       SYS_mq_getsetattr,
       kIpcFamily,
       2,
       {fd(kQueue), null(), out({64})},
       {},
       nullptr},
  };
  return calls;
}

}  // namespace differential
