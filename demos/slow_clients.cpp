// Thousands of slow keep-alive clients in one process (raw epoll), for the demo servers.
//
// Each client sends a request in small pieces with pauses between them, waits for the answer,
// checks every byte of it, thinks for a while and goes on over the same connection. Afterwards,
// with
// --rush-seconds, all of them stop being slow and ask as fast as they are answered.
// Results are `key=value` lines on stdout, progress goes to stderr.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "latency_histogram.hpp"
#include "process_usage.hpp"

namespace {

using demos::LatencyHistogram;
using Ns = std::int64_t;  // nanoseconds, monotonic

constexpr Ns kSecond = 1'000'000'000;
constexpr Ns kMillisecond = 1'000'000;

struct Options {
  int port = 0;
  unsigned clients = 1000;
  double seconds = 5;
  double rush_seconds = 0;
  unsigned requests_each = 0;  // with this, the slow phase ends by count and not by time
  unsigned pieces = 3;
  unsigned gap_ms = 30;
  unsigned think_ms = 300;
  double limit_seconds = 20;  // for the connections to be set up, and for the last answers
  pid_t server = 0;
  long max_threads = 0;
  bool quiet = false;
};

Ns now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

[[noreturn]] void fail(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Client {
  enum class State {
    kNew,         // not connected yet
    kConnecting,  // waits for EPOLLOUT
    kThinking,    // waits for its timer, then begins a request
    kSending,     // waits for its timer, then sends the next piece
    kWaiting,     // waits for the answer
    kFinished,    // has made its requests
  };
  State state = State::kNew;
  int fd = -1;
  unsigned requests = 0;  // sent so far, the one under way included
  Ns due = 0;             // when its timer fires: an entry of the heap with another time is stale
  Ns sent_at = 0;         // when the last byte of the request left
  std::string request;
  std::size_t sent = 0;
  std::string expected;
  std::string answer;
};

enum class Mode {
  kConnecting,  // each client connects and makes one request
  kSlow,        // pieces, pauses, thinking
  kRush,        // a new request as soon as the last one is answered
  kDraining,    // no more requests
};

const char* name(Mode mode) {
  constexpr std::array kNames = {"connecting", "slow clients", "full speed", "last answers"};
  return kNames[static_cast<std::size_t>(mode)];
}

/// What happened in one phase.
struct Phase {
  Ns began = now();
  Ns wall = 0;
  std::uint64_t answers = 0;
  Ns server_cpu = 0;
  LatencyHistogram latency;
};

class SlowClients {
 public:
  explicit SlowClients(const Options& options) : options_(options), clients_(options.clients) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail("epoll_create1");
  }

  void run() {
    setup();
    slow();
    if (options_.rush_seconds > 0) rush();
    drain();
    std::printf("total_answers=%llu\n", static_cast<unsigned long long>(total_answers_));
  }

 private:
  // Phases ------------------------------------------------------------------------------------

  // At most a few connections are under way at once, so that no SYN is lost to a full backlog.
  // A client counts once its first request is answered: the server has then accepted it.
  void setup() {
    constexpr std::size_t kUnderWay = 128;
    begin(Mode::kConnecting);
    const Ns deadline = phase_.began + seconds(options_.limit_seconds);
    std::size_t begun = 0;
    while (phase_.answers < clients_.size()) {
      while (begun < clients_.size() && begun < phase_.answers + kUnderWay) connect(begun++);
      if (now() > deadline) {
        throw std::runtime_error("only " + std::to_string(phase_.answers) + " of " +
                                 std::to_string(clients_.size()) + " clients were answered in " +
                                 std::to_string(static_cast<int>(options_.limit_seconds)) + " s");
      }
      step(std::min(deadline, now() + 100 * kMillisecond));
    }
    end();
    std::printf("clients=%zu\nsetup_seconds=%.3f\n", clients_.size(), phase_.wall * 1e-9);
  }

  void slow() {
    begin(Mode::kSlow);
    for (std::size_t i = 0; i < clients_.size(); ++i) think(i, 0);
    if (options_.requests_each > 0) {
      const Ns deadline = phase_.began + seconds(options_.limit_seconds);
      while (finished_ < clients_.size()) {
        if (now() > deadline) throw std::runtime_error("the answers did not come in time");
        step(deadline);
      }
    } else {
      const Ns until = phase_.began + seconds(options_.seconds);
      while (now() < until) step(until);
    }
    // Looked at while all connections are still open.
    if (options_.server > 0) report_memory();
    end();
    report("slow");
  }

  void rush() {
    begin(Mode::kRush);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].state == Client::State::kThinking) on_timer(i);
    }
    const Ns until = phase_.began + seconds(options_.rush_seconds);
    while (now() < until) step(until);
    end();
    report("rush");
  }

  // Every request that was sent is answered before a connection is closed.
  void drain() {
    begin(Mode::kDraining);
    const Ns deadline = phase_.began + seconds(options_.limit_seconds);
    while (waiting_ > 0) {
      if (now() > deadline) throw std::runtime_error("the last answers did not come in time");
      step(deadline);
    }
    for (Client& client : clients_) close(client.fd);
  }

  void begin(Mode mode) {
    phase_ = Phase();
    mode_ = mode;
    answers_shown_ = 0;
    next_progress_ = phase_.began + kProgressEvery;
    if (options_.server > 0) phase_.server_cpu = -demos::cpu_ns(options_.server);
  }

  void end() {
    phase_.wall = now() - phase_.began;
    if (options_.server > 0) phase_.server_cpu += demos::cpu_ns(options_.server);
    progress(true);
  }

  void report(const char* name) const {
    const auto ms = [this](double fraction) { return phase_.latency.quantile_ns(fraction) * 1e-6; };
    std::printf("%s_seconds=%.3f\n", name, phase_.wall * 1e-9);
    std::printf("%s_requests=%llu\n", name, static_cast<unsigned long long>(phase_.answers));
    std::printf("%s_requests_per_second=%.0f\n", name, phase_.answers / (phase_.wall * 1e-9));
    std::printf("%s_p50_ms=%.3f\n%s_p99_ms=%.3f\n%s_p999_ms=%.3f\n", name, ms(0.5), name, ms(0.99),
                name, ms(0.999));
    if (options_.server > 0) {
      std::printf("%s_server_cpu_seconds=%.3f\n", name, phase_.server_cpu * 1e-9);
    }
  }

  void report_memory() const {
    const demos::Memory memory = demos::memory_of(options_.server);
    std::printf("server_threads=%ld\nserver_memory_kb=%ld\n", memory.threads, memory.total_kb());
    std::printf("server_resident_kb=%ld\nserver_page_tables_kb=%ld\nserver_kernel_stacks_kb=%ld\n",
                memory.resident_kb, memory.page_tables_kb, memory.kernel_stacks_kb);
    if (options_.max_threads > 0 && memory.threads > options_.max_threads) {
      throw std::runtime_error("the server runs " + std::to_string(memory.threads) +
                               " kernel threads, more than " +
                               std::to_string(options_.max_threads));
    }
  }

  void progress(bool last) {
    const Ns time = now();
    const bool news = phase_.answers != answers_shown_;
    if (options_.quiet || (last ? !news && !terminal_ : time < next_progress_)) return;
    next_progress_ = time + kProgressEvery;
    answers_shown_ = phase_.answers;
    std::fprintf(stderr, "%s    %-12s %5.1f s  %8llu answers%s", terminal_ ? "\r" : "", name(mode_),
                 (time - phase_.began) * 1e-9, static_cast<unsigned long long>(phase_.answers),
                 terminal_ && !last ? "" : "\n");
  }

  // One round of the loop ---------------------------------------------------------------------

  void step(Ns until) {
    progress(false);
    const Ns started = now();
    while (!timers_.empty() && timers_.top().first <= started) {
      const auto [due, index] = timers_.top();
      timers_.pop();
      if (clients_[index].due == due) on_timer(index);
    }
    Ns wait = std::min({until, timers_.empty() ? until : timers_.top().first, next_progress_});
    wait = std::max<Ns>(wait - now(), 0);
    const timespec timeout = {wait / kSecond, wait % kSecond};
    std::array<epoll_event, 512> events;
    const int ready = epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    if (ready < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < ready; ++i) on_ready(events[static_cast<std::size_t>(i)].data.u64);
  }

  void on_timer(std::size_t index) {
    Client& client = clients_[index];
    client.due = 0;
    if (mode_ == Mode::kDraining) return;
    if (client.state == Client::State::kThinking) {
      compose(index);
      client.state = Client::State::kSending;
    }
    if (client.state == Client::State::kSending) send_piece(index);
  }

  void on_ready(std::size_t index) {
    Client& client = clients_[index];
    switch (client.state) {
      case Client::State::kConnecting:
        on_connected(index);
        break;
      case Client::State::kWaiting:
        receive(index);
        break;
      case Client::State::kNew:
      case Client::State::kThinking:
      case Client::State::kSending:
      case Client::State::kFinished:
        check_still_open(client);
        break;
    }
  }

  // One client --------------------------------------------------------------------------------

  void connect(std::size_t index) {
    Client& client = clients_[index];
    client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client.fd < 0) fail("socket");
    const int on = 1;
    setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = index;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) < 0) fail("epoll_ctl");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client.state = Client::State::kConnecting;
    if (::connect(client.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 &&
        errno != EINPROGRESS) {
      fail("connect");
    }
  }

  void on_connected(std::size_t index) {
    Client& client = clients_[index];
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) fail("connect", error);
    compose(index);
    client.state = Client::State::kSending;
    send_piece(index);
  }

  void compose(std::size_t index) {
    Client& client = clients_[index];
    ++client.requests;
    const std::string path =
        "/client/" + std::to_string(index) + "/request/" + std::to_string(client.requests);
    const std::string body = "Hello " + path + ", this is request " +
                             std::to_string(client.requests) + " of your connection.\n";
    client.request = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    client.expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body;
    client.sent = 0;
    client.answer.clear();
  }

  void send_piece(std::size_t index) {
    Client& client = clients_[index];
    const std::size_t pieces = mode_ == Mode::kSlow ? options_.pieces : 1;
    const std::size_t piece = client.request.size() / pieces + 1;
    const std::size_t size = std::min(piece, client.request.size() - client.sent);
    const bool last = client.sent + size == client.request.size();
    if (last) client.sent_at = now();
    // Far below the send buffer: a partial or refused send means that the connection is broken.
    const ssize_t sent = send(client.fd, client.request.data() + client.sent, size, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    if (static_cast<std::size_t>(sent) != size) throw std::runtime_error("a send was cut short");
    client.sent += size;
    if (last) {
      client.state = Client::State::kWaiting;
      ++waiting_;
    } else {
      set_timer(index, options_.gap_ms * kMillisecond);
    }
  }

  void receive(std::size_t index) {
    Client& client = clients_[index];
    char buffer[1024];
    for (;;) {
      const ssize_t received = recv(client.fd, buffer, sizeof buffer, 0);
      if (received < 0 && errno == EAGAIN) break;
      if (received < 0 && errno == EINTR) continue;
      if (received < 0) fail("recv");
      if (received == 0) throw std::runtime_error("the server closed a connection");
      client.answer.append(buffer, static_cast<std::size_t>(received));
      if (static_cast<std::size_t>(received) < sizeof buffer) break;
    }
    if (client.expected.compare(0, client.answer.size(), client.answer) != 0) {
      throw std::runtime_error("a wrong answer: expected\n" + client.expected + "\ngot\n" +
                               client.answer);
    }
    if (client.answer.size() == client.expected.size()) on_answered(index);
  }

  void on_answered(std::size_t index) {
    Client& client = clients_[index];
    const Ns latency = now() - client.sent_at;
    --waiting_;
    phase_.latency.add(latency);
    ++phase_.answers;
    ++total_answers_;
    client.state = Client::State::kThinking;
    if (options_.requests_each > 0 && client.requests >= options_.requests_each) {
      client.state = Client::State::kFinished;
      ++finished_;
    } else if (mode_ == Mode::kSlow) {
      think(index, options_.think_ms * kMillisecond / 2);
    } else if (mode_ == Mode::kRush) {
      on_timer(index);
    }
  }

  // From `least` to `least` + the mean think time, evenly: half to one and a half times the mean
  // between requests; all over the mean when a phase begins.
  void think(std::size_t index, Ns least) {
    std::uniform_int_distribution<Ns> spread(0, options_.think_ms * kMillisecond);
    set_timer(index, least + spread(random_));
  }

  void set_timer(std::size_t index, Ns delay) {
    clients_[index].due = now() + delay;
    timers_.emplace(clients_[index].due, index);
  }

  void check_still_open(const Client& client) const {
    char byte;
    const ssize_t received = recv(client.fd, &byte, 1, MSG_PEEK);
    if (received < 0 && errno == EAGAIN) return;
    if (received < 0) fail("an idle connection");
    throw std::runtime_error(received == 0 ? "the server closed an idle connection"
                                           : "an answer that nobody asked for");
  }

  static Ns seconds(double value) { return static_cast<Ns>(value * kSecond); }

  const Options options_;
  int epoll_ = -1;
  std::vector<Client> clients_;
  using Timer = std::pair<Ns, std::size_t>;  // due, client
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::minstd_rand random_{1};
  Phase phase_;
  Mode mode_ = Mode::kConnecting;
  std::size_t waiting_ = 0;
  std::size_t finished_ = 0;
  std::uint64_t total_answers_ = 0;
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  const Ns kProgressEvery = terminal_ ? kSecond / 5 : 2 * kSecond;
  Ns next_progress_ = 0;
  std::uint64_t answers_shown_ = 0;
};

void need_descriptors(unsigned clients) {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < clients + 16) {
    throw std::runtime_error("RLIMIT_NOFILE allows " + std::to_string(limit.rlim_cur) +
                             " descriptors: fewer --clients, or a higher `ulimit -n`");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Thousands of slow keep-alive clients for the demo servers.");
  app.add_option("--port", options.port, "port of the server on 127.0.0.1")
      ->required()
      ->check(CLI::Range(1, 65535));
  app.add_option("--clients", options.clients, "connections")->check(CLI::Range(1, 1000000));
  app.add_option("--seconds", options.seconds, "length of the slow phase");
  app.add_option("--rush-seconds", options.rush_seconds, "length of the phase at full speed");
  app.add_option("--requests", options.requests_each,
                 "requests of each client; ends the slow phase by count");
  app.add_option("--pieces", options.pieces, "sends that make up a slow request")
      ->check(CLI::Range(1, 20));
  app.add_option("--gap-ms", options.gap_ms, "pause between the pieces");
  app.add_option("--think-ms", options.think_ms, "mean pause between two requests");
  app.add_option("--limit-seconds", options.limit_seconds,
                 "how long connecting and the last answers may take");
  app.add_option("--pid", options.server, "the server: report its CPU time, memory and threads");
  app.add_option("--max-threads", options.max_threads,
                 "fail when the server has more kernel threads");
  app.add_flag("--quiet", options.quiet, "no progress on stderr");
  CLI11_PARSE(app, argc, argv);
  try {
    need_descriptors(options.clients);
    SlowClients(options).run();
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::cerr << "slow_clients: " << error.what() << "\n";
    return 1;
  }
}
