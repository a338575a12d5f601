"""python_web: Python's web servers on threads, native and green, beside gevent's.

gunicorn's worker processes are made by fork and are green as their maker is.
"""

import pathlib
import subprocess

from measure import failed, find_tool, markdown, note
from many_cores.peers import DEFAULT, NATIVE, ONE, Server, compared, median, peers, turns
from wrk import wrk

CLIENTS = 100
SECONDS = 5  # of each turn
PYTHON = "/usr/bin/python3"
APPLICATION = pathlib.Path(__file__).with_name("web_application.py")


def can_import(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def run(programs, cores, options):
    if find_tool("wrk") is None or not can_import("gevent") or not can_import("gunicorn"):
        note("python_web: left out: wrk, gunicorn or python3-gevent is not installed (.ci/setup bench).")
        return

    def command(*arguments):
        return [PYTHON, "-B", str(APPLICATION), *map(str, arguments)]

    commands = {f"gunicorn gthread, {name}": line
                for name, line in peers(programs, command("gthread", CLIENTS), (NATIVE, ONE, DEFAULT)).items()}
    commands["gunicorn gevent"] = command("gevent", CLIENTS)
    commands["gevent pywsgi"] = command("pywsgi")
    servers = {}
    try:
        for name, line in commands.items():
            servers[name] = Server(line)
        results = turns("WSGI servers", servers, options.rounds,
                        lambda server: wrk(server, CLIENTS, SECONDS, cores.all))
    except RuntimeError as error:
        failed(f"python_web: {error}")
        return
    finally:
        for server in servers.values():
            server.stop()
    baseline = f"gunicorn gthread, {NATIVE}"
    rows = [[name, compared(results, name, "rate", baseline=baseline),
             compared(results, name, "cpu", 1e-3, baseline=baseline),
             f"{median(results[name], 'p50') / 1000:,.1f} / {median(results[name], 'p99') / 1000:,.1f}"]
            for name in results]
    print(f"\nHello by WSGI, {CLIENTS} connections, one process (against native threads)\n")
    print(markdown(["", "requests/s", "CPU µs a request", "p50 / p99, ms"], rows))
