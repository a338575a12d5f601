// Echo by libuv callbacks, as its users write it; uv_try_write spares the write request.
#include <string.h>
#include <uv.h>

#include "echo_server.h"

static char buffer[kEchoBuffer];

struct write_request {
  uv_write_t write;
  char data[kEchoBuffer];
};

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buf) {
  (void)handle;
  (void)suggested;
  *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_closed(uv_handle_t* handle) { free(handle->data); }

static void on_written(uv_write_t* request, int status) {
  (void)status;
  free(request->data);
}

static void on_read(uv_stream_t* stream, ssize_t received, const uv_buf_t* buf) {
  if (received < 0) {
    uv_close((uv_handle_t*)stream, on_closed);
    return;
  }
  uv_buf_t reply = uv_buf_init(buf->base, (unsigned)received);
  int written = uv_try_write(stream, &reply, 1);
  if (written == received) return;
  if (written < 0) written = 0;
  struct write_request* rest = malloc(sizeof *rest);
  if (rest == NULL) die("malloc");
  rest->write.data = rest;
  memcpy(rest->data, buf->base + written, (size_t)(received - written));
  uv_buf_t rest_buf = uv_buf_init(rest->data, (unsigned)(received - written));
  uv_write(&rest->write, stream, &rest_buf, 1, on_written);
}

static void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  uv_tcp_t* client = malloc(sizeof *client);
  if (client == NULL) die("malloc");
  uv_tcp_init(listener->loop, client);
  client->data = client;
  if (uv_accept(listener, (uv_stream_t*)client) != 0) {
    uv_close((uv_handle_t*)client, on_closed);
    return;
  }
  uv_read_start((uv_stream_t*)client, on_alloc, on_read);
}

int main(void) {
  uv_tcp_t listener;
  int fd = listen_and_announce();
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_init(loop, &listener);
  if (uv_tcp_open(&listener, fd) != 0) die("uv_tcp_open");
  if (uv_listen((uv_stream_t*)&listener, kBacklog, on_connection) != 0) die("uv_listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}
