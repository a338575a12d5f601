// ftp_server FOLDER [PORT]: a server of files that speaks FTP (RFC 959, passive mode), enough of it
// for curl and other clients. Each client is a fiber that reads commands line by line and answers
// them in turn; a transfer is a plain loop between a file and a second connection. Waiting for the
// disk and for slow clients holds up nobody else. Try it with:
//
//   curl ftp://127.0.0.1:PORT/               curl -T some.file ftp://127.0.0.1:PORT/
//
// Everyone may read and write everything in the folder, so it serves loopback only. Links inside
// the folder are followed wherever they lead.
#include <tendril/serve.hpp>
#include <tendril/tendril.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr size_t kPart = 64 * 1024;
constexpr auto kIdleLimit = 300s;      // for the next command
constexpr auto kTransferLimit = 30s;   // for each part of a transfer, and for its connection
constexpr size_t kLongestLine = 4096;  // of commands

// One client: its control connection and where it is.
class Session {
 public:
  Session(const fs::path& root, tendril::Stream& control, const tendril::SocketAddress& client)
      : root_(root), control_(control), client_(client) {}

  void serve() {
    control_.set_timeout(kIdleLimit);
    tendril::StreamReader reader(control_);
    reply(220, "At your service");
    std::string line;
    while (!quitting_ && reader.read_line(line, kLongestLine)) {
      const size_t space = line.find(' ');
      std::string command = line.substr(0, space);
      for (char& c : command) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      obey(command, space == line.npos ? "" : line.substr(space + 1));
    }
  }

 private:
  using Command = void (Session::*)(const std::string&);

  static const std::map<std::string, Command>& commands() {
    static const std::map<std::string, Command> all{
        {"USER", &Session::user},    {"PASS", &Session::pass},
        {"SYST", &Session::system},  {"NOOP", &Session::nothing},
        {"TYPE", &Session::nothing},  // all transfers are of bytes as they are
        {"PWD", &Session::where},    {"CWD", &Session::change_folder},
        {"EPSV", &Session::listen},  {"PASV", &Session::listen_ipv4},
        {"LIST", &Session::list},    {"NLST", &Session::list_names},
        {"SIZE", &Session::size},    {"RETR", &Session::retrieve},
        {"STOR", &Session::store},   {"DELE", &Session::remove},
        {"QUIT", &Session::quit},
    };
    return all;
  }

  void obey(const std::string& command, const std::string& argument) {
    const auto found = commands().find(command);
    if (found == commands().end()) return reply(502, "I do not know " + command);
    if (!logged_in_ && command != "USER" && command != "PASS" && command != "QUIT") {
      return reply(530, "Who are you?");
    }
    try {
      (this->*found->second)(argument);
    } catch (const std::system_error& error) {
      reply(550, error.code().message());
    }
  }

  void reply(int code, const std::string& text) {
    control_.write(std::to_string(code) + ' ' + text + "\r\n");
  }

  // --- who and where ---

  void user(const std::string&) { reply(331, "Any password will do"); }
  void pass(const std::string&) {
    logged_in_ = true;
    reply(230, "Welcome");
  }
  void system(const std::string&) { reply(215, "UNIX Type: L8"); }
  void nothing(const std::string&) { reply(200, "Done"); }
  void quit(const std::string&) {
    reply(221, "Goodbye");
    quitting_ = true;
  }
  void where(const std::string&) { reply(257, '"' + folder_.string() + '"'); }
  void change_folder(const std::string& name) {
    if (!S_ISDIR(tendril::stat_file(file_of(name)).st_mode)) return reply(550, "Not a directory");
    folder_ = path_of(name);
    reply(250, "Done");
  }

  // What the client calls it. The root is its own parent, so ".." does not lead out.
  fs::path path_of(const std::string& name) const { return (folder_ / name).lexically_normal(); }
  std::string file_of(const std::string& name) const {
    return (root_ / path_of(name).relative_path()).string();
  }

  // --- the second connection ---

  void listen(const std::string&) {
    listener_ = tendril::Listener(tendril::SocketAddress::loopback(0), {.backlog = 1});
    reply(229, "Connect to (|||" + std::to_string(listener_.port()) + "|)");
  }
  void listen_ipv4(const std::string&) {
    listener_ = tendril::Listener(tendril::SocketAddress::loopback(0), {.backlog = 1});
    const unsigned port = listener_.port();
    reply(227, "Connect to (127,0,0,1," + std::to_string(port / 256) + ',' +
                   std::to_string(port % 256) + ')');
  }

  // Lets the function read or write the connection that the client makes now.
  void transfer(const std::function<void(tendril::Stream&)>& function) {
    if (!listener_.is_open()) return reply(425, "Say EPSV or PASV before");
    reply(150, "Here it goes");
    try {
      tendril::Listener listener = std::move(listener_);  // for one transfer
      tendril::SocketAddress peer;
      tendril::SocketStream data = listener.accept(&peer, kTransferLimit);
      if (peer.host() != client_.host()) return reply(425, "You are somebody else");
      data.set_timeout(kTransferLimit);
      function(data);
      data.close();
      reply(226, "Done");
    } catch (const tendril::TimeoutError&) {
      reply(426, "You are too slow");
    } catch (const std::system_error& error) {
      reply(451, error.code().message());
    }
  }

  // --- files ---

  void list(const std::string& name) { send_folder(name, true); }
  void list_names(const std::string& name) { send_folder(name, false); }

  void send_folder(const std::string& name, bool details) {
    const std::string folder = file_of(name.starts_with('-') ? "" : name);  // `ls` has options
    std::string text;
    for (const std::string& entry : tendril::list_directory(folder)) {
      if (details) {
        const auto status = tendril::stat_file(folder + '/' + entry);
        char line[64];
        std::snprintf(line, sizeof line, "%crw-r--r-- 1 ftp ftp %12lld Jan  1  1970 ",
                      S_ISDIR(status.st_mode) ? 'd' : '-', static_cast<long long>(status.st_size));
        text += line;
      }
      text += entry + "\r\n";
    }
    transfer([&](tendril::Stream& data) { data.write(text); });
  }

  void size(const std::string& name) {
    const auto status = tendril::stat_file(file_of(name));
    if (!S_ISREG(status.st_mode)) return reply(550, "Not a file");
    reply(213, std::to_string(status.st_size));
  }

  void retrieve(const std::string& name) {
    tendril::File file(file_of(name));
    transfer([&](tendril::Stream& data) {
      for (std::string part; !(part = file.read(kPart)).empty();) data.write(part);
    });
  }

  void store(const std::string& name) {
    tendril::File file(file_of(name), O_WRONLY | O_CREAT | O_TRUNC);
    transfer([&](tendril::Stream& data) {
      std::string part(kPart, '\0');
      while (const size_t bytes = data.read(part.data(), part.size())) {
        file.write(std::string_view(part).substr(0, bytes));
      }
    });
  }

  void remove(const std::string& name) {
    if (unlink(file_of(name).c_str()) != 0) {
      throw std::system_error(errno, std::generic_category(), "unlink");
    }
    reply(250, "Done");
  }

  const fs::path root_;
  tendril::Stream& control_;
  const tendril::SocketAddress client_;
  fs::path folder_ = "/";
  tendril::Listener listener_;  // between EPSV or PASV and the transfer
  bool logged_in_ = false;
  bool quitting_ = false;
};

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ftp_server FOLDER [PORT]\n");
    return 2;
  }
  const fs::path root = fs::absolute(argv[1]);
  const auto port = static_cast<uint16_t>(argc > 2 ? std::atoi(argv[2]) : 0);
  tendril::StreamServer server(tendril::SocketAddress::loopback(port),
                               [&](tendril::Stream& control, const tendril::SocketAddress& client) {
                                 Session(root, control, client).serve();
                               },
                               {.max_connections = 200});
  auto interrupted = tendril::on_signal(SIGINT, [&] { server.stop(); });
  auto terminated = tendril::on_signal(SIGTERM, [&] { server.stop(); });
  std::printf("serving %s on port %d\n", root.c_str(), server.port());
  std::fflush(stdout);
  server.serve_forever();
}
