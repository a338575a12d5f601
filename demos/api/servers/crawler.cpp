// crawler: follows every link from one page, many pages at a time, but politely: few at a time from
// each host, with a pause after each. Broken links, hosts that are not there and pages that never
// come cost their time limit and nothing else.
//
// The web it crawls is its own: three sites on loopback addresses, full of cycles.
#include <tendril/serve.hpp>
#include <tendril/tendril.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

constexpr size_t kAtOnce = 32;        // fetches at a time in all
constexpr size_t kAtOncePerHost = 2;  // of them from one host
constexpr auto kPause = 2ms;          // before the next from there
constexpr auto kFetchLimit = 2s;
constexpr auto kLookUpLimit = 2s;

// --- the crawler ---

struct Url {  // http://HOST:PORT/PATH
  std::string host;
  uint16_t port = 80;
  std::string path = "/";
  auto operator<=>(const Url&) const = default;
};

Url parse_url(std::string_view text, const Url& base) {
  Url url = base;
  if (text.starts_with("http://")) {
    text.remove_prefix(7);
    const std::string_view place = text.substr(0, text.find('/'));
    const size_t colon = place.find(':');
    url = {std::string(place.substr(0, colon)), 80, "/"};
    if (colon != place.npos) {
      std::from_chars(place.data() + colon + 1, place.data() + place.size(), url.port);
    }
    text.remove_prefix(place.size());
  }
  if (!text.empty()) url.path = text;
  return url;
}

std::vector<Url> links_in(std::string_view page, const Url& base) {
  constexpr std::string_view kLink = "href=\"";
  std::vector<Url> links;
  while (true) {
    const size_t begin = page.find(kLink);
    if (begin == page.npos) return links;
    page.remove_prefix(begin + kLink.size());
    links.push_back(parse_url(page.substr(0, page.find('"')), base));
  }
}

struct Page {
  int status = 0;
  std::string body;
};

std::vector<tendril::SocketAddress> look_up(const Url& url) {
  try {
    return tendril::resolve(url.host, url.port, {.timeout = kLookUpLimit});
  } catch (const tendril::ResolveError&) {
  } catch (const tendril::TimeoutError&) {  // no server of names that would know
  }
  throw std::runtime_error("no such host");
}

Page fetch(const Url& url) {
  const auto addresses = look_up(url);
  tendril::Timeout limit(kFetchLimit);  // for connecting and reading together
  auto connection = tendril::create_connection(addresses);
  connection.write("GET " + url.path + " HTTP/1.1\r\nHost: " + url.host +
                   "\r\nConnection: close\r\n\r\n");
  tendril::StreamReader reader(connection);
  std::string line;
  if (!reader.read_line(line) || !line.starts_with("HTTP/1.1 ")) return {};
  Page page;
  page.status = std::stoi(line.substr(9));
  while (reader.read_line(line) && !line.empty()) {
  }
  page.body = reader.read_all();
  return page;
}

class Crawler {
 public:
  void crawl(const Url& start) {
    found(start);
    // When every page that was found is done there can be no more.
    auto end = tendril::spawn([this] {
      frontier_.join();
      frontier_.shutdown();
    });
    tendril::Pool pool(kAtOnce);
    for (const Url& url : frontier_) {
      pool.spawn([this, url] {
        visit(url);
        frontier_.task_done();
      });
    }
    end.join();
  }

  void report() const {
    for (const auto& [host, pages] : pages_of_) std::printf("%s: %d pages\n", host.c_str(), pages);
    for (const auto& failure : failures_) std::puts(failure.c_str());
  }

 private:
  void found(const Url& url) {
    if (seen_.insert(url).second) frontier_.put(url);
  }

  void visit(const Url& url) {
    tendril::Semaphore& turns = turns_of_.try_emplace(url.host, kAtOncePerHost).first->second;
    turns.acquire();
    try {
      const Page page = fetch(url);
      if (page.status == 200) {
        ++pages_of_[url.host];
        for (const Url& link : links_in(page.body, url)) found(link);
      } else {
        failed(url, "status " + std::to_string(page.status));
      }
    } catch (const tendril::TimeoutError&) {
      failed(url, "too slow");
    } catch (const std::system_error& error) {
      failed(url, error.code().message());
    } catch (const std::exception& error) {
      failed(url, error.what());
    }
    tendril::sleep(kPause);
    turns.release();
  }

  void failed(const Url& url, const std::string& why) {
    failures_.insert(url.host + url.path + ": " + why);
  }

  tendril::JoinableQueue<Url> frontier_;
  std::set<Url> seen_;
  std::map<std::string, tendril::Semaphore> turns_of_;
  std::map<std::string, int> pages_of_;
  std::set<std::string> failures_;
};

// --- the web ---

std::string link_to(const std::string& url) { return "<a href=\"" + url + "\">a link</a>\n"; }

// Pages /0 to /N-1, each with links forth and back.
class Site {
 public:
  Site(std::string host, const tendril::SocketAddress& address, int pages)
      : host_(std::move(host)),
        pages_(pages),
        server_(address, [this](auto& request, auto& response) { serve(request, response); }) {
    server_.start();
  }

  std::string url() const { return "http://" + host_ + ":" + std::to_string(server_.port()); }
  void add_to_front_page(const std::string& html) { front_page_ += html; }
  size_t most_at_once() const { return most_at_once_; }

 private:
  void serve(tendril::HttpRequest& request, tendril::HttpResponse& response) {
    ++at_once_;
    most_at_once_ = std::max(most_at_once_, at_once_);
    tendril::sleep(5ms);  // as if it were far away
    --at_once_;
    if (request.target == "/tarpit") tendril::sleep(1h);
    int number = 0;
    const auto* end = request.target.data() + request.target.size();
    const auto parsed = std::from_chars(request.target.data() + 1, end, number);
    if (request.target != "/" && (parsed.ptr != end || number < 0 || number >= pages_)) {
      return response.send(404, "There is nothing here.\n");
    }
    std::string html = request.target == "/" ? front_page_ : link_to("/");
    for (const int step : {1, 7, pages_ - 1}) {
      html += link_to("/" + std::to_string((number + step) % pages_));
    }
    response.headers.set("Content-Type", "text/html");
    response.send(html);
  }

  const std::string host_;
  const int pages_;
  std::string front_page_;
  size_t at_once_ = 0;
  size_t most_at_once_ = 0;
  tendril::HttpServer server_;  // last: it serves what is above
};

int main() {
  Site home("localhost", tendril::SocketAddress::loopback(0), 60);
  Site second("127.0.0.2", tendril::SocketAddress::ip("127.0.0.2", 0), 60);
  Site third("127.0.0.3", tendril::SocketAddress::ip("127.0.0.3", 0), 60);
  tendril::Listener closed(tendril::SocketAddress::ip("127.0.0.4", 0));
  const std::string nobody = "http://127.0.0.4:" + std::to_string(closed.port()) + "/";
  closed.close();

  home.add_to_front_page(link_to(second.url()) + link_to(third.url() + "/5"));
  second.add_to_front_page(link_to(home.url() + "/missing") + link_to("/tarpit"));
  third.add_to_front_page(link_to(home.url()) + link_to(nobody) +
                          link_to("http://no-such-host.invalid/"));

  Crawler crawler;
  crawler.crawl(parse_url(home.url(), {}));
  crawler.report();
  for (const Site* site : {&home, &second, &third}) {
    // One if the pages happened to be found one after the other.
    const bool polite = site->most_at_once() <= kAtOncePerHost;
    std::puts(polite ? "never more than 2 at once" : "more than 2 at once");
  }
}
