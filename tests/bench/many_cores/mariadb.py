"""mariadb: Debian's mariadbd under sysbench, transactions that read and that write, few and many connections."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from measure import ROOT, cpu_ns, failed, find_tool, markdown, note
from many_cores.peers import DEFAULT, NATIVE, compared, peers, turns

sys.path.append(str(ROOT / "tests" / "real"))
import harness  # starts and ends real programs

LOADS = ("oltp_read_only", "oltp_read_write")
CONNECTIONS = (16, 256, 2000)
SECONDS = 10  # of each turn, from when all are connected
TABLES, ROWS = 4, 10000
PATIENCE = 180  # seconds that a turn may take besides: 2,000 connections and their statements to prepare


class Server:
    """A mariadbd with a data directory of its own; the log is not flushed to the disk at each commit."""

    def __init__(self, folder, prefix):
        self.test = harness.Test("native", None, folder, [])
        self.socket = folder / "socket"
        self.program = self.test.start(
            [*prefix, "/usr/sbin/mariadbd", "--no-defaults", *user_option(), f"--datadir={folder}/data",
             f"--socket={self.socket}", "--skip-networking", f"--pid-file={folder}/pid", "--skip-log-bin",
             "--max-connections=2100", "--back-log=2100", "--max-prepared-stmt-count=1000000",
             "--table-open-cache=4000", "--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=2",
             "--thread-handling=one-thread-per-connection"])
        self.test.wait_for_text(self.program, "ready for connections")

    def sysbench(self, load, *arguments):
        command = ["/usr/bin/sysbench", f"/usr/share/sysbench/{load}.lua", "--db-driver=mysql", "--mysql-user=root",
                   f"--mysql-socket={self.socket}", f"--tables={TABLES}", f"--table-size={ROWS}", *arguments]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                  timeout=SECONDS + PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"sysbench {load}: no end after {SECONDS + PATIENCE} s") from None
        if done.returncode != 0:
            raise RuntimeError(f"sysbench {load}: {done.stdout.strip()[-300:]}")
        return done.stdout

    def turn(self, load, connections):
        before = cpu_ns(self.program.pid)
        said = self.sysbench(load, f"--threads={connections}", f"--time={SECONDS}", "run")
        cpu = cpu_ns(self.program.pid) - before
        transactions, rate = re.search(r"transactions: +(\d+) +\(([\d.]+) per sec", said).groups()
        p95 = re.search(r"95th percentile: +([\d.]+)", said)[1]
        if int(transactions) == 0:
            raise RuntimeError("no transaction came to an end")
        return {"rate": float(rate), "p95": float(p95), "cpu": cpu / int(transactions)}

    def stop(self):
        self.test.stop(self.program, seconds=120)


def user_option():
    return ["--user=root"] if os.geteuid() == 0 else []


def install(folder):
    """A data directory with the tables of sysbench, made natively."""
    folder.mkdir()
    done = subprocess.run(["/usr/bin/mariadb-install-db", "--no-defaults", *user_option(), f"--datadir={folder}/data",
                           "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    harness.require(done.returncode == 0, f"mariadb-install-db: {done.stdout[-300:]}")
    server = Server(folder, [])
    server.test.call(["/usr/bin/mariadb", "--no-defaults", "--user=root", f"--socket={server.socket}",
                      "--execute", "CREATE DATABASE sbtest"])
    server.sysbench(LOADS[0], "prepare")
    server.stop()


def measure(programs, folder, options):
    """{(load, connections): {name: results}}"""
    install(folder / "data")
    servers = {}
    columns = {}
    for number, (name, prefix) in enumerate(peers(programs, [], (NATIVE, DEFAULT)).items()):
        # The same data for both, bit for bit.
        shutil.copytree(folder / "data", folder / str(number), ignore=shutil.ignore_patterns("log-*", "socket", "pid"))
        servers[name] = Server(folder / str(number), prefix)
    for load in LOADS:
        for connections in CONNECTIONS:
            columns[load, connections] = turns(
                f"mariadb, {load}, {connections:,} connections", servers, options.rounds,
                lambda server, load=load, connections=connections: server.turn(load, connections))
    for server in servers.values():
        server.stop()
    return columns


def run(programs, cores, options):
    missing = [name for name in ("mariadbd", "mariadb-install-db", "sysbench") if find_tool(name) is None]
    if missing:
        note(f"mariadb: left out: {' and '.join(missing)} not installed (.ci/setup test).")
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tendril-bench-"))
    columns = {}
    try:
        columns = measure(programs, folder, options)
    except (harness.Failure, RuntimeError) as error:
        failed(f"mariadb: {error}")
    finally:
        harness.Test("native", None, folder, []).end()
        shutil.rmtree(folder, ignore_errors=True)
    rows = []
    for (load, connections), results in columns.items():
        for name in (NATIVE, DEFAULT):
            if results.get(name):
                rows.append([f"{load}, {connections:,}, {name}", compared(results, name, "rate"),
                             compared(results, name, "p95", 1, 1), compared(results, name, "cpu", 1e-3)])
    if rows:
        print("\nmariadbd under sysbench (against native)\n")
        print(markdown(["load, connections", "transactions/s", "p95, ms", "server CPU µs a transaction"], rows))
