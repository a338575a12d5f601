"""Clients of the proxy of PostgreSQL: right answers, short ones while a slow query runs, connections shared.

Argument: the program. It links the shim, so it needs no tendril command.
"""

import concurrent.futures
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "real"))
import backends
import harness

CONNECTIONS = 4
CLIENTS = 30
QUESTIONS = 10


class Client:
    def __init__(self, port):
        self.lines = socket.create_connection(("127.0.0.1", port), timeout=60).makefile("rw", newline="\n")

    def send(self, statement):
        self.lines.write(statement + "\n")
        self.lines.flush()

    def receive(self):
        rows = []
        for line in self.lines:
            if line == "\n":
                return rows
            rows.append(line.rstrip("\n").split("\t"))
        raise harness.Failure("the proxy hung up")

    def ask(self, statement):
        self.send(statement)
        return self.receive()


def check_answers(port):
    client = Client(port)
    harness.require(client.ask("select n, n * n from generate_series(1, 3) n") == [["1", "1"], ["2", "4"], ["3", "9"]],
                    "three squares")
    wrong = client.ask("select frobnicate")
    harness.require(wrong[0][0].startswith("! ERROR:") and "frobnicate" in wrong[0][0], f"an error: {wrong}")
    harness.require(client.ask("select 'still here'") == [["still here"]], "after an error")


def check_lost_connection(port):
    """The server ends each of the connections; each is made anew."""
    client = Client(port)
    for _ in range(CONNECTIONS):
        lost = client.ask("select pg_terminate_backend(pg_backend_pid())")
        harness.require(lost[0][0].startswith("! "), f"a lost connection: {lost}")
    for _ in range(2 * CONNECTIONS):
        harness.require(client.ask("select 7") == [["7"]], "after the connection was lost")


def check_slow_query(port):
    """All the short questions are answered before the slow one is, although it was asked first."""
    slow = Client(port)
    slow.send("select pg_sleep(4), 'slow'")
    watcher = Client(port)
    running = "select count(*) from pg_stat_activity where query like '%slow''' and wait_event = 'PgSleep'"
    harness.wait_until(lambda: watcher.ask(running) == [["1"]], "the slow query runs")

    def ask_many(number):
        client = Client(port)
        for question in range(QUESTIONS):
            product = client.ask(f"select {number} * {question}")
            harness.require(product == [[str(number * question)]], f"{number} * {question} = {product}")
        return client

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
        clients = list(threads.map(ask_many, range(CLIENTS)))
    took = time.monotonic() - began
    harness.require(watcher.ask(running) == [["1"]], "the slow query ended before the short ones")
    shared = watcher.ask("select count(*) from pg_stat_activity where backend_type = 'client backend'")
    harness.require(shared == [[str(CONNECTIONS)]], f"{shared} connections for {len(clients) + 2} clients")
    harness.require(slow.receive() == [["", "slow"]], "the slow answer")
    print(f"{CLIENTS * QUESTIONS} short queries in {took:.2f} s while one of 4 s ran, {CONNECTIONS} connections")


def run(test):
    (program,) = test.arguments
    address, stop_postgres = backends.start_postgres(test)
    proxy = test.start([program, address, CONNECTIONS], under_test=False)
    port = int(test.wait_for_text(proxy, "\n").split()[-1])
    check_answers(port)
    check_lost_connection(port)
    check_slow_query(port)
    test.check_threads(proxy.pid)
    test.stop(proxy)
    stop_postgres()


harness.main(run)
