"""nginx with `aio threads`: master and two workers, each with a thread pool that reads the files."""

import signal

import harness
import http_load

CLIENTS = 100
CONFIGURATION = """
daemon off;
user root;
worker_processes 2;
pid {directory}/nginx.pid;
error_log stderr warn;
thread_pool default threads=16 max_queue=65536;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 100000;
  server {{
    listen 127.0.0.1:{port};
    root {directory}/served;
    location / {{
      aio threads;
      sendfile off;
      output_buffers 2 8k;
    }}
    location /sent/ {{
      alias {directory}/served/;
      aio threads;
      sendfile on;
    }}
  }}
}}
"""


def run(test):
    http_load.write_files(test.directory / "served")
    port = harness.free_port()
    configuration = test.directory / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(port=port, directory=test.directory))
    command = ["/usr/sbin/nginx", "-c", configuration, "-p", test.directory, "-e", "stderr"]
    server = test.start(command)
    test.wait_for_port(server, port)

    def at_peak():
        for pid in test.check_children(server, at_least=2):
            test.check_threads(pid, native_at_least=17)

    http_load.hold(port, CLIENTS, rounds=10, at_peak=at_peak)
    http_load.hold(port, CLIENTS, rounds=10, at_peak=at_peak, prefix="/sent/")
    # New workers take over, the old ones end.
    before = harness.descendants(server.pid)
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: not set(before) & set(harness.descendants(server.pid)), "old workers end")
    http_load.hold(port, CLIENTS, rounds=3, at_peak=at_peak)
    test.stop(server, signal.SIGQUIT)
    harness.require("[alert]" not in server.output() and "[emerg]" not in server.output(), "nginx reported an alert")


harness.main(run)
