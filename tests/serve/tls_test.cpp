#include "tendril/tls.hpp"

#include "tendril/http_server.hpp"
#include "tendril/stream_server.hpp"
#include "tendril/subprocess.hpp"
#include "tendril/tcp.hpp"
#include "tests/io/io_tests.hpp"

using tendril::SocketAddress;
using tendril::Stream;
using tendril::TlsContext;
using tendril::TlsError;
using tendril::TlsStream;
using namespace std::chrono_literals;

namespace {

// A certificate for "localhost", signed by itself.
struct Certificate {
  Certificate() {
    tendril::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                  "subjectAltName=DNS:localhost", "-keyout", key, "-out", file},
                 {.check = true});
  }
  ScratchDirectory directory;
  const std::string key = directory / "key.pem";
  const std::string file = directory / "certificate.pem";
};

void echo(Stream& client, const SocketAddress&) {
  char buffer[4096];
  while (const size_t n = client.read(buffer, sizeof buffer)) client.write(buffer, n);
}

TlsStream connect_tls(uint16_t port, const TlsContext& context, const std::string& host) {
  auto below =
      std::make_unique<tendril::SocketStream>(tendril::connect(SocketAddress::loopback(port)));
  below->set_timeout(20s);
  return TlsStream(context, std::move(below), host);
}

}  // namespace

TEST_CASE("a server of streams over TLS: megabytes to and fro, read and written at once") {
  CleanIo clean;
  const Certificate certificate;
  tendril::StreamServer server(SocketAddress::loopback(0), echo,
                               {.tls = TlsContext::server(certificate.file, certificate.key)});
  server.start();
  TlsStream client = connect_tls(server.port(), TlsContext::client(certificate.file), "localhost");
  CHECK(client.protocol() == "TLSv1.3");
  const std::string sent(2'000'000, 'x');
  auto writer = tendril::spawn([&] {
    client.write(sent);
    client.shutdown_write();
  });
  CHECK(tendril::StreamReader(client).read_all() == sent);
  writer.get();
}

TEST_CASE("who is not trusted, or not who was meant, is refused; the server lives on") {
  CleanIo clean;
  const Certificate certificate;
  tendril::StreamServer server(SocketAddress::loopback(0), echo,
                               {.tls = TlsContext::server(certificate.file, certificate.key)});
  server.start();
  CHECK_THROWS_AS(connect_tls(server.port(), TlsContext::client(), "localhost"), TlsError);
  CHECK_THROWS_AS(connect_tls(server.port(), TlsContext::client(certificate.file), "other.test"),
                  TlsError);
  tendril::SocketStream plain = tendril::connect(SocketAddress::loopback(server.port()));
  plain.write("GET / HTTP/1.1\r\n\r\n");
  tendril::StreamReader(plain).read_all();
  TlsStream careless =
      connect_tls(server.port(), TlsContext::client_without_verification(), "any.test");
  careless.write("x");
  char c;
  CHECK(careless.read(&c, 1) == 1);
}

TEST_CASE("a connection that is cut is not an end") {
  CleanIo clean;
  const Certificate certificate;
  auto [a, b] = tendril::socket_pair();
  auto server =
      tendril::spawn([&, under = std::make_unique<tendril::SocketStream>(std::move(b))]() mutable {
        tendril::SocketStream* cut = under.get();
        TlsStream tls(TlsContext::server(certificate.file, certificate.key), std::move(under));
        tls.write("x");
        cut->close();
      });
  TlsStream client(TlsContext::client(certificate.file),
                   std::make_unique<tendril::SocketStream>(std::move(a)), "localhost");
  char c;
  CHECK(client.read(&c, 1) == 1);
  CHECK_THROWS_AS(client.read(&c, 1), TlsError);
  server.get();
}

TEST_CASE("a client that does not shake hands is dropped") {
  CleanIo clean;
  const Certificate certificate;
  tendril::StreamServer server(
      SocketAddress::loopback(0), echo,
      {.tls = TlsContext::server(certificate.file, certificate.key), .handshake_timeout = 10ms});
  server.start();
  tendril::SocketStream mute = tendril::connect(SocketAddress::loopback(server.port()));
  char c;
  CHECK(mute.read(&c, 1) == 0);
}

TEST_CASE("curl over https") {
  CleanIo clean;
  const Certificate certificate;
  tendril::HttpServerOptions options;
  options.stream.tls = TlsContext::server(certificate.file, certificate.key);
  tendril::HttpServer server(
      SocketAddress::loopback(0),
      [](tendril::HttpRequest& request, tendril::HttpResponse& response) {
        response.send("secret " + request.read_body());
      },
      options);
  server.start();
  const auto done = tendril::run({"curl", "-sS", "--noproxy", "*", "--max-time", "20", "--cacert",
                                  certificate.file, "-d", "body",
                                  "https://localhost:" + std::to_string(server.port()) + "/"});
  CHECK(done.output + done.error == "secret body");
  CHECK(server.stop(20s));
}

TEST_CASE("files that are no certificate are refused with their name") {
  CHECK_THROWS_WITH_AS(TlsContext::server("/dev/null", "/dev/null"), doctest::Contains("/dev/null"),
                       TlsError);
}
