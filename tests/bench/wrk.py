"""wrk, a load generator on epoll: one turn against a server, and what both sides paid for it."""

import re
import resource
import subprocess
import time

from measure import Cores, cpu_ns

TIMEOUT_SECONDS = 30  # of a request: thousands of threads take their time to start


def wrk(server, connections, seconds, processors):
    """One turn of wrk with one thread: requests/s, CPU of both sides, latency."""
    command = ["wrk", "--threads", "1", "--connections", str(connections),
               "--duration", f"{seconds}s",
               "--timeout", f"{TIMEOUT_SECONDS}s", "--latency", f"http://127.0.0.1:{server.port}/"]
    server_before = cpu_ns(server.pid)
    client_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          preexec_fn=Cores.pin(processors), timeout=seconds + 2 * TIMEOUT_SECONDS, check=False)
    took = time.monotonic() - began
    server_cpu = cpu_ns(server.pid) - server_before
    client_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client_cpu = sum(getattr(client_after, field) - getattr(client_before, field)
                     for field in ("ru_utime", "ru_stime"))
    requests = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec: *([\d.]+)", done.stdout)
    wrong = re.search(r"Socket errors:.*|Non-2xx.*", done.stdout)
    if done.returncode != 0 or not requests or not rate or wrong:
        raise RuntimeError(wrong[0] if wrong else done.stdout.strip()[-200:])
    latency = {percent: value for percent, value in
               re.findall(r"^ +(50|99)% +([\d.]+[a-z]+) *$", done.stdout, re.MULTILINE)}
    return {"rate": float(rate[1]), "cpu": server_cpu / int(requests[1]),
            "client_busy": client_cpu / took, "server_busy": server_cpu / 1e9 / took,
            "p50": microseconds(latency["50"]), "p99": microseconds(latency["99"])}


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}[unit]
