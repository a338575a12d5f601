// Blocking C clients in fibers: libpq, hiredis and libcurl know nothing of Tendril, and the program
// that uses them links tendril::interpose. Runs one slow call, then 100 at once in one OS thread.
//
//   blocking_clients postgres|redis|curl ADDRESS|PORT|URL
//
// Prints the times and fails if 100 calls take half as long as one after the other, if an answer is
// wrong, or if this process has more than a few kernel threads while all are under way. Compiled
// with BLOCKING_CLIENTS_NATIVE it links nothing of Tendril and uses std::thread.
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifndef BLOCKING_CLIENTS_NATIVE
#include "tendril/tendril.hpp"
#endif

namespace {

constexpr int kCalls = 100;
// Getting 100 connections up is work, not waiting: a call is slow against it.
constexpr double kMostTimesOfOne = 0.5 * kCalls;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

template <typename T, void (*free_function)(T*)>
struct FreeBy {
  void operator()(T* object) const { free_function(object); }
};

void query_postgres(const std::string& address, int number) {
  std::unique_ptr<PGconn, FreeBy<PGconn, PQfinish>> connection(PQconnectdb(address.c_str()));
  require(PQstatus(connection.get()) == CONNECTION_OK, PQerrorMessage(connection.get()));
  const std::string query = "select pg_sleep(0.3), " + std::to_string(number) + " * 3 as product";
  std::unique_ptr<PGresult, FreeBy<PGresult, PQclear>> result(
      PQexec(connection.get(), query.c_str()));
  require(PQresultStatus(result.get()) == PGRES_TUPLES_OK, PQerrorMessage(connection.get()));
  require(PQgetvalue(result.get(), 0, 1) == std::to_string(number * 3), "another one's answer");
}

// Waits for what nobody pushes: 0.3 s are over when the server says so. Then round trips.
void ask_redis(const std::string& port, int number) {
  std::unique_ptr<redisContext, FreeBy<redisContext, redisFree>> connection(
      redisConnect("127.0.0.1", std::stoi(port)));
  require(connection != nullptr && connection->err == 0, "cannot connect to redis");
  const auto command = [&](const std::string& text) {
    auto* reply = static_cast<redisReply*>(redisCommand(connection.get(), text.c_str()));
    require(reply != nullptr, std::string("redis: ") + connection->errstr);
    const std::string answer = reply->type == REDIS_REPLY_NIL ? "nil"
                               : reply->str != nullptr        ? reply->str
                                                              : std::to_string(reply->integer);
    freeReplyObject(reply);
    return answer;
  };
  const std::string id = std::to_string(number);
  require(command("BLPOP nothing-" + id + " 0.3") == "nil", "BLPOP of an empty list");
  require(command("SET key-" + id + " value-" + id) == "OK", "SET");
  require(command("GET key-" + id) == "value-" + id, "another one's value");
}

size_t append(char* data, size_t size, size_t count, void* target) {
  static_cast<std::string*>(target)->append(data, size * count);
  return size * count;
}

void fetch(const std::string& url, int number) {
  std::unique_ptr<CURL, FreeBy<CURL, curl_easy_cleanup>> easy(curl_easy_init());
  std::string body;
  const std::string target = url + "/" + std::to_string(number);
  curl_easy_setopt(easy.get(), CURLOPT_URL, target.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(easy.get());
  require(code == CURLE_OK, std::string("curl: ") + curl_easy_strerror(code));
  require(body == std::to_string(number * number), "another one's page: " + body);
}

int kernel_threads() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::atoi(line.c_str() + 8);
  }
  return 0;
}

template <typename Function>
double seconds_of(Function&& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Makes kCalls calls at once; returns how many kernel threads there were meanwhile.
#ifdef BLOCKING_CLIENTS_NATIVE
constexpr int kMostKernelThreads = kCalls + 8;

int call_all(const std::function<void(int)>& call) {
  std::vector<std::thread> threads;
  for (int n = 0; n < kCalls; ++n) threads.emplace_back(call, n);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  const int alive = kernel_threads();
  for (auto& thread : threads) thread.join();
  return alive;
}
#else
constexpr int kMostKernelThreads = 8;

int call_all(const std::function<void(int)>& call) {
  std::vector<tendril::Fiber<void>> fibers;
  for (int n = 0; n < kCalls; ++n) fibers.push_back(tendril::spawn([&call, n] { call(n); }));
  tendril::sleep(std::chrono::milliseconds(150));
  const int alive = kernel_threads();
  for (auto& fiber : fibers) fiber.get();
  return alive;
}
#endif

int run(const std::string& kind, const std::string& where) {
  const std::function<void(int)> call = [&](int number) {
    if (kind == "postgres") return query_postgres(where, number);
    if (kind == "redis") return ask_redis(where, number);
    require(kind == "curl", "unknown client " + kind);
    fetch(where, number);
  };
  curl_global_init(CURL_GLOBAL_ALL);
  call(0);  // names, certificates, first connections
  const double one = seconds_of([&] { call(0); });
  int threads = 0;
  const double all = seconds_of([&] { threads = call_all(call); });
  std::printf("%s: one call %.3f s, %d at once %.3f s, kernel threads %d\n", kind.c_str(), one,
              kCalls, all, threads);
  require(one >= 0.29, "the call is not slow");
  require(all < kMostTimesOfOne * one, "one after the other");
  require(threads <= kMostKernelThreads, "too many kernel threads");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    require(argc == 3, "usage: blocking_clients postgres|redis|curl WHERE");
    return run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
  }
}
