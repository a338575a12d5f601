// A connection to RabbitMQ with one channel: plain, blocking librabbitmq, which knows nothing of
// fibers. Of one fiber at a time.
#pragma once

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <sys/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

class AmqpError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Amqp {
 public:
  struct Message {
    std::string body;
    uint64_t tag = 0;  // for acknowledge
  };

  explicit Amqp(int port) : connection_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(connection_.get());
    if (socket == nullptr) throw AmqpError("no memory for a connection to RabbitMQ");
    check(amqp_socket_open(socket, "127.0.0.1", port), "connecting");
    check(amqp_login(connection_.get(), "/", 0, 128 * 1024, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                     "guest"),
          "logging in");
    amqp_channel_open(connection_.get(), kChannel);
    check(amqp_get_rpc_reply(connection_.get()), "opening a channel");
  }

  // Makes the queue unless it exists; it outlives us, and RabbitMQ.
  void declare(const std::string& queue) {
    amqp_queue_declare(connection_.get(), kChannel, amqp_cstring_bytes(queue.c_str()), 0, 1, 0, 0,
                       amqp_empty_table);
    check(amqp_get_rpc_reply(connection_.get()), "declaring a queue");
  }

  void publish(const std::string& queue, const std::string& body) {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    check(amqp_basic_publish(connection_.get(), kChannel, amqp_empty_bytes,
                             amqp_cstring_bytes(queue.c_str()), 0, 0, &properties,
                             amqp_cstring_bytes(body.c_str())),
          "publishing");
  }

  void subscribe(const std::string& queue) {
    amqp_basic_consume(connection_.get(), kChannel, amqp_cstring_bytes(queue.c_str()),
                       amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(connection_.get()), "subscribing");
  }

  // Waits for a message; nothing when none has come in time.
  std::optional<Message> receive(int seconds) {
    amqp_maybe_release_buffers(connection_.get());
    amqp_envelope_t envelope;
    const timeval limit{seconds, 0};
    const amqp_rpc_reply_t reply = amqp_consume_message(connection_.get(), &envelope, &limit, 0);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT) {
      return std::nullopt;
    }
    check(reply, "receiving");
    Message message{
        {static_cast<const char*>(envelope.message.body.bytes), envelope.message.body.len},
        envelope.delivery_tag};
    amqp_destroy_envelope(&envelope);
    return message;
  }

  // Until then RabbitMQ keeps it, and gives it to somebody else if we go away.
  void acknowledge(const Message& message) {
    check(amqp_basic_ack(connection_.get(), kChannel, message.tag, 0), "acknowledging");
  }

 private:
  static constexpr amqp_channel_t kChannel = 1;

  static void check(int status, const char* what) {
    if (status != AMQP_STATUS_OK) {
      throw AmqpError(std::string(what) + ": " + amqp_error_string2(status));
    }
  }
  static void check(const amqp_rpc_reply_t& reply, const char* what) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    check(reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? reply.library_error
                                                              : AMQP_STATUS_CONNECTION_CLOSED,
          what);
  }

  struct Destroy {
    void operator()(amqp_connection_state_t connection) const {
      amqp_destroy_connection(connection);
    }
  };
  std::unique_ptr<std::remove_pointer_t<amqp_connection_state_t>, Destroy> connection_;
};
