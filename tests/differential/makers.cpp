// What takes several calls to make, done by the controller.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "calls.hpp"

namespace differential {
namespace {

std::string told(std::initializer_list<int> fds) {
  std::string text;
  for (const int fd : fds) text += " " + std::to_string(fd);
  return text;
}

std::string make_pipe(World& world, Random& random) {
  int fds[2];
  if (pipe2(fds, random.chance(25) ? O_NONBLOCK : 0) != 0) return " failed";
  const int object = world.make_object(kPipeEnd);
  world.opened(fds[0], object);
  world.opened(fds[1], object);
  return told({fds[0], fds[1]});
}

std::string make_socket_pair(World& world, Random& random) {
  const int type =
      random.one_of(std::vector<int>{SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET});
  int fds[2];
  if (socketpair(AF_UNIX, type | (random.chance(20) ? SOCK_NONBLOCK : 0), 0, fds) != 0)
    return " failed";
  const unsigned kind = type == SOCK_STREAM ? kStream : type == SOCK_DGRAM ? kDatagram : kSequenced;
  for (const int fd : fds) world.opened(fd, world.make_object(kind));
  return told({fds[0], fds[1]});
}

int bound_socket(int type) {
  const int fd = socket(AF_INET, type, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return fd;
}

bool connect_to(int fd, int peer) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  return getsockname(peer, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
         connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0;
}

std::string make_tcp(World& world, Random&) {
  const int listener = bound_socket(SOCK_STREAM);
  if (listener < 0 || listen(listener, 4) != 0) return " failed";
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  // What is kept back until more comes would arrive at a time of its own.
  const int at_once = 1;
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  if (!connect_to(client, listener)) return " failed";
  const int server = accept(listener, nullptr, nullptr);
  world.opened(listener, world.make_object(kListener));
  world.opened(client, world.make_object(kTcp));
  world.opened(server, world.make_object(kTcp));
  return told({listener, client, server});
}

std::string make_udp(World& world, Random& random) {
  const int first = bound_socket(SOCK_DGRAM);
  const int second = bound_socket(SOCK_DGRAM);
  if (first < 0 || second < 0 || !connect_to(first, second)) return " failed";
  if (random.chance(50)) connect_to(second, first);
  world.opened(first, world.make_object(kDatagram));
  world.opened(second, world.make_object(kDatagram));
  return told({first, second});
}

std::string make_unix_listener(World& world, Random& random) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address.sun_path[0] = 's';
  address.sun_path[1] = static_cast<char>('0' + random.below(4));
  const bool packets = random.chance(30);
  const int fd = socket(AF_UNIX, packets ? SOCK_SEQPACKET : SOCK_STREAM, 0);
  if (fd < 0) return " failed";
  world.opened(fd, world.make_object(kListener));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), offsetof(sockaddr_un, sun_path) + 3) != 0 ||
      listen(fd, static_cast<int>(random.below(3))) != 0) {
    return told({fd}) + " not listening";
  }
  return told({fd}) + " at " + address.sun_path;
}

std::string make_file(World& world, Random& random) {
  const char* name = random.one_of(std::vector<const char*>{"a", "b", "c"});
  const int fd = open(name, O_RDWR | O_CREAT | (random.chance(20) ? O_APPEND : 0), 0600);
  if (fd < 0) return " failed";
  if (random.chance(60) && write(fd, "the first bytes of a file that is not long", 42) != 42)
    return " not written";
  if (random.chance(50)) lseek(fd, 0, SEEK_SET);
  world.opened(fd, world.make_object(kFile));
  return told({fd}) + " " + name;
}

std::string make_eventfd(World& world, Random& random) {
  const int fd = eventfd(random.below(3), (random.chance(30) ? EFD_SEMAPHORE : 0) |
                                              (random.chance(30) ? EFD_NONBLOCK : 0));
  world.opened(fd, world.make_object(kEventfd));
  return told({fd});
}

std::string make_epoll(World& world, Random& random) {
  const int fd = epoll_create1(0);
  const int set = world.make_object(kEpoll);
  std::string text = told({fd}) + " of";
  for (unsigned i = random.below(4); i > 0; --i) {
    const int member = world.pick(random, kAny & ~unsigned{kFile | kDirectory});
    if (member < 0) continue;
    epoll_event event{};
    event.events =
        random.one_of(std::vector<uint32_t>{EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLOUT,
                                            EPOLLIN | EPOLLONESHOT, EPOLLOUT | EPOLLET});
    event.data.u64 = static_cast<uint64_t>(member);
    if (epoll_ctl(fd, EPOLL_CTL_ADD, member, &event) != 0) continue;
    const int object = world.object_of(member);
    world.object(set).members.insert({object, Way::kIn});
    world.object(set).members.insert({object, Way::kOut});
    if (world.object(object).ends_by_itself) world.object(set).ends_by_itself = true;
    char part[48];
    snprintf(part, sizeof part, " %d/%#x", member, static_cast<unsigned>(event.events));
    text += part;
  }
  world.opened(fd, set);
  return text;
}

std::string make_signalfd(World& world, Random& random) {
  sigset_t set;
  sigemptyset(&set);
  uint64_t bits = 0;
  for (const int signal : kSignals) {
    if (!random.chance(30)) continue;
    sigaddset(&set, signal);
    bits |= bit_of(signal);
  }
  const int fd = signalfd(-1, &set, random.chance(40) ? SFD_NONBLOCK : 0);
  const int object = world.make_object(kSignalfd);
  world.object(object).signals = bits;
  world.read_by_signalfds |= bits;
  world.opened(fd, object);
  char text[48];
  snprintf(text, sizeof text, " %d of %#llx", fd, static_cast<unsigned long long>(bits));
  return text;
}

std::string make_timerfd(World& world, Random& random) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, random.chance(30) ? TFD_NONBLOCK : 0);
  world.opened(fd, world.make_object(kTimerfd));
  return told({fd});
}

std::string make_inotify(World& world, Random&) {
  const int fd = inotify_init1(0);
  inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE);
  world.opened(fd, world.make_object(kInotify));
  return told({fd});
}

std::string make_terminal(World& world, Random&) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || unlockpt(master) != 0) return " failed";
  const int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  if (slave < 0) return " failed";
  // Its number differs from run to run; nothing else does.
  world.opened(master, world.make_object(kTerminal));
  world.opened(slave, world.make_object(kTerminal));
  return told({master, slave});
}

std::string make_fifo(World& world, Random&) {
  mkfifo("fifo", 0600);
  const int in = open("fifo", O_RDONLY | O_NONBLOCK);
  const int out = open("fifo", O_WRONLY | O_NONBLOCK);
  if (in < 0 || out < 0) return " failed";
  const int object = world.make_object(kPipeEnd);
  world.opened(in, object);
  world.opened(out, object);
  return told({in, out});
}

std::string make_directory(World& world, Random&) {
  mkdir("d", 0700);
  const int fd = open("d", O_RDONLY | O_DIRECTORY);
  world.opened(fd, world.make_object(kDirectory));
  return told({fd});
}

// One that has ended already.
std::string make_child(World& world, Random& random) {
  const int code = static_cast<int>(random.below(3));
  const bool by_signal = random.chance(25);
  const pid_t child = fork();
  if (child == 0) {
    if (by_signal) {
      signal(SIGUSR1, SIG_DFL);
      sigset_t set;
      sigemptyset(&set);
      sigprocmask(SIG_SETMASK, &set, nullptr);
      raise(SIGUSR1);
    }
    _exit(code);
  }
  siginfo_t info;
  if (child < 0 || waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) != 0)
    return " failed";
  world.children.push_back(child);
  return by_signal ? " that a signal ends" : " of code " + std::to_string(code);
}

// The words that futexes are about.
std::string make_value(World& world, Random& random) {
  uint32_t* word =
      (random.chance(15) ? world.shared_words : world.words) + random.below(World::kWords);
  *word = random.below(3);
  return " " + std::to_string(*word);
}

}  // namespace

const std::vector<Maker>& makers() {
  static const std::vector<Maker> all = {
      {"pipe", kIoFamily | kWaitFamily | kFileFamily, make_pipe},
      {"pipe", kIoFamily | kWaitFamily, make_pipe},
      {"socket pair", kIoFamily | kSocketFamily | kWaitFamily, make_socket_pair},
      {"socket pair", kSocketFamily, make_socket_pair},
      {"TCP connection", kSocketFamily | kWaitFamily, make_tcp},
      {"UDP sockets", kSocketFamily, make_udp},
      {"Unix listener", kSocketFamily, make_unix_listener},
      {"file", kFileFamily | kIoFamily, make_file},
      {"file", kFileFamily, make_file},
      {"eventfd", kIoFamily | kWaitFamily, make_eventfd},
      {"epoll set", kWaitFamily, make_epoll},
      {"signalfd", kSignalFamily | kWaitFamily, make_signalfd},
      {"timerfd", kTimeFamily | kWaitFamily, make_timerfd},
      {"inotify", kFileFamily | kWaitFamily, make_inotify},
      {"terminal", kIoFamily | kWaitFamily, make_terminal},
      {"fifo", kFileFamily | kIoFamily, make_fifo},
      {"directory", kFileFamily, make_directory},
      {"child", kProcessFamily, make_child},
      {"value", kFutexFamily, make_value},
      {"value", kFutexFamily, make_value},
  };
  return all;
}

}  // namespace differential
