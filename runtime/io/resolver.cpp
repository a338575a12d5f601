#include "tendril/resolver.hpp"

#include <netdb.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "runtime/hub/interposed.hpp"
#include "runtime/loop/uv_requests.hpp"
#include "runtime/sync/attention.hpp"
#include "tendril/errors.hpp"
#include "tendril/event.hpp"
#include "tendril/offload.hpp"

namespace tendril {
namespace {

struct FreeList {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};

struct Answer {
  int error = 0;
  std::unique_ptr<addrinfo, FreeList> list;
};

Answer ask_blocking(const char* host, const char* service, const addrinfo& hints) {
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host, service, &hints, &list);
  return {error, std::unique_ptr<addrinfo, FreeList>(error == 0 ? list : nullptr)};
}

// Lives until both the fiber, which may have been killed, and the hub are done with it.
struct Shared {
  Answer answer;
  Event done;
};

struct Lookup final : rt::LookupRequest {
  explicit Lookup(std::shared_ptr<Shared> s) : shared(std::move(s)) {}
  void done(int error, addrinfo* list) noexcept override {
    shared->answer = {error, std::unique_ptr<addrinfo, FreeList>(list)};
    shared->done.set();
  }
  std::shared_ptr<Shared> shared;
};

Answer ask(const std::string& host, const std::string& service, const addrinfo& hints,
           Duration timeout) {
  detail::require_fiber();
  const char* node = host.empty() ? nullptr : host.c_str();
  const char* what = service.empty() ? nullptr : service.c_str();
  // An address in numbers asks nobody.
  addrinfo numeric = hints;
  numeric.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
  if (Answer answer = ask_blocking(node, what, numeric); answer.error == 0) return answer;
  if (rt::is_interposed()) {
    return offload(
        [host, service, hints] {
          return ask_blocking(host.empty() ? nullptr : host.c_str(),
                              service.empty() ? nullptr : service.c_str(), hints);
        },
        timeout);
  }
  auto shared = std::make_shared<Shared>();
  if (const int error = rt::look_up(new Lookup(shared), node, what, hints); error != 0) {
    throw std::system_error(error, std::generic_category(), "resolve");
  }
  if (!shared->done.wait(timeout)) throw TimeoutError("resolve");
  return std::move(shared->answer);
}

}  // namespace

ResolveError::ResolveError(int code, const std::string& name)
    : std::runtime_error("tendril: cannot resolve '" + name + "': " + gai_strerror(code)),
      code_(code) {}

std::vector<SocketAddress> resolve(std::string_view host, std::string_view service,
                                   const ResolveOptions& options) {
  addrinfo hints{};
  hints.ai_family = options.family;
  hints.ai_socktype = SOCK_STREAM;  // one entry for each address, not one for each protocol
  hints.ai_flags = options.passive ? AI_PASSIVE : 0;
  const std::string name(host);
  const Answer answer = ask(name, std::string(service), hints, options.timeout);
  if (answer.error != 0) throw ResolveError(answer.error, name);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* a = answer.list.get(); a != nullptr; a = a->ai_next) {
    addresses.emplace_back(a->ai_addr, a->ai_addrlen);
  }
  return addresses;
}

std::vector<SocketAddress> resolve(std::string_view host, uint16_t port,
                                   const ResolveOptions& options) {
  return resolve(host, std::to_string(port), options);
}

std::string reverse_lookup(const SocketAddress& address, Duration timeout) {
  struct Name {
    int error = 0;
    std::string text;
  };
  Name name = offload(
      [address] {
        char host[NI_MAXHOST] = "";
        const int error =
            getnameinfo(address.data(), address.size(), host, sizeof host, nullptr, 0, 0);
        return Name{error, host};
      },
      timeout);
  if (name.error != 0) throw ResolveError(name.error, address.to_string());
  return std::move(name.text);
}

}  // namespace tendril
