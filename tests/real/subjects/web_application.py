"""A WSGI application: /N is N * N after a short sleep, with a thread-local that must not be another's."""

import threading
import time

local = threading.local()


def application(environ, start_response):
    number = int(environ["PATH_INFO"][1:])
    local.number = number
    time.sleep(0.02)
    assert local.number == number
    body = str(number * number).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
