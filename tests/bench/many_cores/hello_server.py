"""CPython's threaded HTTP server with a small file to serve; says "listening PORT"."""

import http.server
import socketserver
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # It writes head and body apart: without this every answer would wait for a delayed acknowledgement.
    disable_nagle_algorithm = True

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=sys.argv[1])


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024  # clients come all at once

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # without asking for the name of the host
        self.server_name, self.server_port = "localhost", self.server_address[1]


with Server(("127.0.0.1", 0), Handler) as server:
    print("listening", server.server_port, flush=True)
    server.serve_forever()
