#include "tendril/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <mutex>
#include <system_error>

#include "tendril/errors.hpp"

// OpenSSL never waits here: it reads from memory and writes to memory, and between its calls we do
// the waiting. So no other fiber finds it, or its error queue (of the OS thread), half way.

namespace tendril {
namespace {

constexpr size_t kPiece = 16 * 1024;  // the largest TLS record

[[noreturn]] void fail(const std::string& what) {
  char text[256] = "no reason given";
  if (const unsigned long error = ERR_get_error(); error != 0) {
    ERR_error_string_n(error, text, sizeof text);
  }
  ERR_clear_error();
  throw TlsError("tendril: TLS: " + what + ": " + text);
}

}  // namespace

TlsContext::TlsContext(bool server)
    : context_(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free) {
  if (context_ == nullptr) fail("context");
  SSL_CTX_set_min_proto_version(get(), TLS1_2_VERSION);
}

TlsContext TlsContext::server(const std::string& certificate_file, const std::string& key_file) {
  TlsContext context(true);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1) {
    fail(certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    fail(key_file);
  }
  return context;
}

TlsContext TlsContext::client(const std::string& authorities_file) {
  TlsContext context(false);
  const int ok = authorities_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                          : SSL_CTX_load_verify_locations(
                                                context.get(), authorities_file.c_str(), nullptr);
  if (ok != 1) fail("authorities " + authorities_file);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

TlsContext TlsContext::client_without_verification() { return TlsContext(false); }

void TlsStream::Free::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

TlsStream::TlsStream(const TlsContext& context, std::unique_ptr<Stream> below,
                     std::string_view host)
    : below_(std::move(below)), ssl_(SSL_new(context.get())), incoming_(kPiece, '\0') {
  if (ssl_ == nullptr) fail("connection");
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  if (in == nullptr || out == nullptr) fail("connection");
  SSL_set_bio(ssl_.get(), in, out);  // which owns them
  if (SSL_is_server(ssl_.get()) != 0) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
    if (!host.empty()) {
      const std::string name(host);
      SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
      SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      // A host in numbers is an address of the certificate, not a name.
      X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
      if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1 &&
          SSL_set1_host(ssl_.get(), name.c_str()) != 1) {
        fail(name);
      }
      ERR_clear_error();
    }
  }
  shake_hands();
}

TlsStream::~TlsStream() = default;

void TlsStream::shake_hands() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
      const TlsError reason = [] {
        try {
          fail("handshake");
        } catch (const TlsError& e) {
          return e;
        }
      }();
      try {
        send_out();  // the alert that tells the peer why
      } catch (const std::system_error&) {
        // It has gone: the reason stands.
      }
      throw reason;
    }
    send_out();
    if (error == SSL_ERROR_NONE) return;
    if (!feed()) throw TlsError("tendril: TLS: the peer left during the handshake");
  }
}

bool TlsStream::feed() {
  const size_t got = below_->read(incoming_.data(), incoming_.size());
  if (got == 0) return false;
  BIO_write(SSL_get_rbio(ssl_.get()), incoming_.data(), static_cast<int>(got));
  return true;
}

void TlsStream::send_out() {
  BIO* out = SSL_get_wbio(ssl_.get());
  if (BIO_pending(out) == 0) return;
  const std::lock_guard lock(sending_);
  std::string data;
  while (const int pending = static_cast<int>(BIO_pending(out))) {
    data.resize(static_cast<size_t>(pending));
    BIO_read(out, data.data(), pending);
    below_->write(data);
  }
}

size_t TlsStream::read(void* buffer, size_t bytes) {
  for (;;) {
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer, bytes, &got);
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_NONE) return got;
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    if (error != SSL_ERROR_WANT_READ) fail("read");
    send_out();  // e.g. the answer to a change of keys
    if (!feed()) throw TlsError("tendril: TLS: the connection was cut");
  }
}

void TlsStream::write(const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const size_t piece = std::min(bytes, 4 * kPiece);
    ERR_clear_error();
    size_t written = 0;
    if (SSL_write_ex(ssl_.get(), next, piece, &written) != 1) fail("write");
    send_out();
    next += written;
    bytes -= written;
  }
}

void TlsStream::shutdown_write() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  send_out();
}

void TlsStream::close() {
  if (closed_) return;
  closed_ = true;
  if (SSL_is_init_finished(ssl_.get()) != 0 && !sending_.locked()) {
    try {
      below_->set_timeout(std::chrono::milliseconds(100));
      shutdown_write();
    } catch (const std::system_error&) {
      // It has gone already.
    } catch (const TimeoutError&) {
      // It does not read: it will see the end of the connection.
    }
  }
  below_->close();
}

std::string TlsStream::protocol() const { return SSL_get_version(ssl_.get()); }

}  // namespace tendril
