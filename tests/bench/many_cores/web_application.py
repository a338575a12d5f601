"""A WSGI application that says hello, on the server that the command line names; says "listening PORT PID".

    web_application.py pywsgi                 gevent's server
    web_application.py gthread|gevent N       gunicorn with one worker process of that class, N threads or greenlets

PID is the process that serves.
"""

import os
import sys


def application(_, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]


def say_listening(port):
    print("listening", port, os.getpid(), flush=True)


def serve_by_pywsgi():
    import gevent.pywsgi

    server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), application, backlog=1024, log=None)
    server.start()
    say_listening(server.server_port)
    server.serve_forever()


def serve_by_gunicorn(worker_class, count):
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            options = {"bind": "127.0.0.1:0", "workers": 1, "worker_class": worker_class, "backlog": 1024,
                       "keepalive": 60, "worker_connections": 10 * count, "loglevel": "error",
                       "worker_tmp_dir": "/dev/shm",
                       "post_worker_init": lambda worker: say_listening(worker.sockets[0].getsockname()[1])}
            if worker_class == "gthread":
                options["threads"] = count
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self):
            return application

    Application().run()


if sys.argv[1] == "pywsgi":
    serve_by_pywsgi()
else:
    serve_by_gunicorn(sys.argv[1], int(sys.argv[2]))
