"""Apache with mpm_worker: two processes of 64 threads; keep-alive clients, CGI, graceful restart, SIGTERM."""

import signal

import harness
import http_load

CLIENTS = 100
CONFIGURATION = """
ServerName localhost
ServerRoot {directory}
Listen 127.0.0.1:{port}
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
Mutex fcntl:{directory}
ErrorLog {directory}/error.log
LoadModule mpm_worker_module {modules}/mod_mpm_worker.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule cgid_module {modules}/mod_cgid.so
User nobody
Group nogroup
StartServers 2
ServerLimit 2
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 128
MinSpareThreads 128
MaxSpareThreads 128
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
DocumentRoot {directory}/served
ScriptSock {directory}/cgi.sock
ScriptAlias /cgi/ {directory}/cgi/
<Directory {directory}>
  Require all granted
</Directory>
"""
CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "query=$QUERY_STRING"
"""


def run(test):
    http_load.write_files(test.directory / "served")
    scripts = test.directory / "cgi"
    scripts.mkdir()
    (scripts / "echo").write_text(CGI)
    (scripts / "echo").chmod(0o755)
    port = harness.free_port()
    configuration = test.directory / "apache.conf"
    configuration.write_text(CONFIGURATION.format(port=port, directory=test.directory,
                                                  modules="/usr/lib/apache2/modules"))
    server = test.start(["/usr/sbin/apache2", "-f", configuration, "-DFOREGROUND"])
    test.wait_for_port(server, port)

    def at_peak():
        threads = {pid: harness.kernel_threads(pid) for pid in test.check_children(server, at_least=3)}
        workers = [pid for pid in threads if harness.read_proc(pid, "cmdline") and (test.green or threads[pid] > 1)]
        harness.require(len(workers) >= 2, f"threads of the children: {threads}")
        for pid in workers:
            test.check_threads(pid, native_at_least=60)

    harness.wait_until(lambda: len(harness.descendants(server.pid)) >= 3, "both children")
    http_load.hold(port, CLIENTS, rounds=5, at_peak=at_peak)

    def cgi(number):
        return f"/cgi/echo?{number}", lambda status, body: status == 200 and body == b"query=%d\n" % number

    http_load.one_shot(port, 60, 10, cgi)
    before = harness.descendants(server.pid)
    server.process.send_signal(signal.SIGUSR1)  # graceful
    harness.wait_until(lambda: not set(before) & set(harness.descendants(server.pid)), "old children end")
    http_load.hold(port, CLIENTS, rounds=3, at_peak=lambda: None)
    test.stop(server)
    log = (test.directory / "error.log").read_text()
    harness.require("caught SIGTERM, shutting down" in log, "no orderly shutdown")
    for bad in ("exit signal", "did not exit", "segfault"):
        harness.require(bad not in log, log)


harness.main(run)
