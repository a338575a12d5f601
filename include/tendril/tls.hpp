// TLS over any stream, by OpenSSL. Link tendril::serve. (gevent: ssl)
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tendril/mutex.hpp"
#include "tendril/stream.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace tendril {

// OpenSSL's own words: a certificate that is not trusted, a peer that speaks something else.
class TlsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Certificates and settings, shared by its copies and by connections. TLS 1.2 and later.
class TlsContext {
 public:
  // PEM files; the certificate's chain follows it in its file. Throws TlsError.
  static TlsContext server(const std::string& certificate_file, const std::string& key_file);
  // Trusts the authorities in the PEM file, or those of this machine if none is given.
  static TlsContext client(const std::string& authorities_file = {});
  // Trusts everyone: for tests.
  static TlsContext client_without_verification();

  ssl_ctx_st* get() const noexcept { return context_.get(); }

 private:
  explicit TlsContext(bool server);
  std::shared_ptr<ssl_ctx_st> context_;
};

// One fiber may read while another writes. The end of the stream is 0 only if the peer said so;
// a connection that is merely cut is TlsError.
class TlsStream : public Stream {
 public:
  // Shakes hands, as a server if the context is one; a client checks that the certificate is for
  // `host`, which it also names to the server. Throws TlsError, TimeoutError, std::system_error.
  TlsStream(const TlsContext& context, std::unique_ptr<Stream> below, std::string_view host = {});
  ~TlsStream() override;

  using Stream::write;
  size_t read(void* buffer, size_t bytes) override;
  void write(const void* data, size_t bytes) override;
  void set_timeout(Duration timeout) override { below_->set_timeout(timeout); }
  Duration timeout() const override { return below_->timeout(); }
  void shutdown_write() override;
  void shutdown_read() override { below_->shutdown_read(); }
  // Tells the peer, if that goes without waiting long, and closes.
  void close() override;

  std::string protocol() const;  // "TLSv1.3"

 private:
  void shake_hands();
  bool feed();      // takes in what the peer has sent; false at the end of the stream below
  void send_out();  // what OpenSSL wants to be sent
  struct Free {
    void operator()(ssl_st* ssl) const noexcept;
  };

  std::unique_ptr<Stream> below_;
  std::unique_ptr<ssl_st, Free> ssl_;
  Mutex sending_;  // what OpenSSL has made is sent in the order in which it made it
  std::string incoming_;
  bool closed_ = false;
};

}  // namespace tendril
