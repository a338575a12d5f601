"""mariadbd from a fresh data directory: load by mysqlslap (500 connections) and sysbench, KILL QUERY, SIGKILL while
clients write and recovery, SIGTERM, native restart, data intact.

Argument: uring (InnoDB's default asynchronous I/O) or threads (--innodb-use-native-aio=0).
"""

import os
import signal
import subprocess
import threading
import time

import harness

CONNECTIONS = 100
CLIENTS = 500
WRITERS = 4
ACKNOWLEDGED = 100  # by each writer, before the server is killed
ROWS = 20000
TABLES = 4


class Server:
    """One mariadbd on a data directory, under test or native."""

    def __init__(self, test, native_aio, under_test):
        self.test = test
        self.port = harness.free_port()
        self.socket = test.directory / "mariadbd.sock"
        self.program = test.start(
            ["/usr/sbin/mariadbd", "--no-defaults", *user_option(), f"--datadir={test.directory}/data",
             f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
             f"--innodb-use-native-aio={int(native_aio)}", "--max-connections=600", "--back-log=600", "--innodb-buffer-pool-size=64M",
             "--innodb-flush-log-at-trx-commit=2", f"--pid-file={test.directory}/mariadbd.pid",
             "--skip-log-bin", "--thread-handling=one-thread-per-connection"],
            under_test=under_test)
        test.wait_for_text(self.program, "ready for connections")

    def connection(self, over_tcp=False):
        way = ["--host=127.0.0.1", f"--port={self.port}"] if over_tcp else [f"--socket={self.socket}"]
        return ["--user=root", *way]

    def sql(self, statements, over_tcp=False):
        return self.test.call(["/usr/bin/mariadb", "--no-defaults", *self.connection(over_tcp), "--batch",
                               "--skip-column-names", "--execute", statements])

    def stop(self):
        self.test.stop(self.program, signal.SIGTERM, seconds=60)
        log = self.program.output()
        harness.require("Shutdown complete" in log, "no orderly shutdown")
        for bad in ("[ERROR]", "got signal", "Assertion", "corrupt"):
            harness.require(bad not in log, f"the server's log says {bad}")


def user_option():
    return ["--user=root"] if os.geteuid() == 0 else []


def create(server):
    server.sql("CREATE DATABASE test_data; CREATE DATABASE sbtest; CREATE DATABASE IF NOT EXISTS mysqlslap")
    for table in range(TABLES):
        server.sql(f"""
            CREATE TABLE test_data.t{table} (id INT PRIMARY KEY, word VARCHAR(64), digest CHAR(40), KEY (word))
                ENGINE=InnoDB;
            INSERT INTO test_data.t{table}
                SELECT seq, CONCAT('row ', seq * {table + 7} MOD 9973), SHA1(seq + {table}) FROM test_data.seq_1_to_{ROWS}
            """, over_tcp=True)


def slap(test, server, over_tcp):
    """A table that 100 connections write to and read from at once."""
    test.call(["/usr/bin/mariadb-slap", "--no-defaults", *server.connection(over_tcp),
               f"--concurrency={CONNECTIONS}", "--number-of-queries=10000", "--auto-generate-sql",
               "--auto-generate-sql-load-type=mixed", "--auto-generate-sql-add-autoincrement", "--engine=innodb",
               "--create-schema=slap_data", "--no-drop"], seconds=100)


def crowd(test, server):
    """500 clients at once, each in a query that all wait in; then each of them writes."""
    server.sql("CREATE TABLE test_data.crowd (id INT AUTO_INCREMENT PRIMARY KEY, who INT) ENGINE=InnoDB")
    slap = ["/usr/bin/mariadb-slap", "--no-defaults", *server.connection(), f"--concurrency={CLIENTS}",
            "--create-schema=test_data", "--no-drop"]
    clients = test.start([*slap, f"--number-of-queries={CLIENTS}", "--query=SELECT SLEEP(3)"], under_test=False)
    asleep = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'"
    harness.wait_until(lambda: server.sql(asleep) == f"{CLIENTS}\n", f"{CLIENTS} clients sleep", 30)
    test.check_threads(server.program.pid, native_at_least=CLIENTS)
    harness.require(clients.wait(60) == 0, clients.output())
    test.call([*slap, f"--number-of-queries={CLIENTS * 4}",
               "--query=INSERT INTO test_data.crowd (who) VALUES (CONNECTION_ID())"], seconds=100)
    counted = server.sql("SELECT COUNT(*), COUNT(DISTINCT who) FROM test_data.crowd; DROP TABLE test_data.crowd")
    harness.require(counted == f"{CLIENTS * 4}\t{CLIENTS}\n", f"the table of the crowd: {counted}")


def kill_query(test, server):
    """KILL QUERY ends a query that sleeps, one that waits for a lock and one that computes, and no connection."""
    answers = {
        "SELECT SLEEP(100)": "ERROR 1317",
        "SELECT GET_LOCK('gate', 100)": "NULL",
        "SELECT COUNT(*) FROM test_data.seq_1_to_100000000 WHERE SHA1(seq) = 'no'": "ERROR 1317",
    }
    holder = test.start(["/usr/bin/mariadb", "--no-defaults", *server.connection(), "--batch", "--skip-column-names",
                         "--unbuffered"], under_test=False, stdin=subprocess.PIPE)
    holder.process.stdin.write(b"SELECT 'held', GET_LOCK('gate', 10);\n")
    holder.process.stdin.flush()
    test.wait_for_text(holder, "held\t1")
    for query, answer in answers.items():
        client = test.start(["/usr/bin/mariadb", "--no-defaults", *server.connection(), "--batch", "--force",
                             "--skip-column-names"], under_test=False, stdin=subprocess.PIPE)
        client.process.stdin.write(f"{query};\nSELECT 'still here';\n".encode())
        client.process.stdin.close()
        find = f"SELECT id FROM information_schema.processlist WHERE info = \"{query}\""
        number = harness.wait_until(lambda: server.sql(find), f"{query} runs").strip()
        begin = time.monotonic()
        server.sql(f"KILL QUERY {number}")
        client.wait(30)
        output = client.output()
        harness.require(answer in output and "still here" in output, f"{query}, killed: {output}")
        harness.require(time.monotonic() - begin < 10, f"{query}: killed late")
    holder.process.stdin.close()
    harness.require(holder.wait(30) == 0, "the holder of the lock failed")


class Writer:
    """A client that adds rows one by one and remembers what the server has acknowledged."""

    def __init__(self, test, server, number):
        self.number = number
        self.acknowledged = 0
        self.client = test.start(["/usr/bin/mariadb", "--no-defaults", *server.connection(), "--batch",
                                  "--skip-column-names", "--unbuffered"], under_test=False,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def write(self):
        streams = self.client.process
        try:
            while True:
                row = self.acknowledged
                streams.stdin.write(b"INSERT INTO test_data.ledger VALUES (%d, %d, SHA1('%d %d')); SELECT %d;\n"
                                    % (self.number, row, self.number, row, row))
                streams.stdin.flush()
                if streams.stdout.readline() != b"%d\n" % row:
                    return  # the server has gone
                self.acknowledged = row + 1
        except OSError:
            pass


def crash(test, server, native_aio, under_test):
    """SIGKILL while clients write; the next server has all that was acknowledged. Returns that server."""
    server.sql("CREATE OR REPLACE TABLE test_data.ledger (writer INT, row INT, digest CHAR(40), PRIMARY KEY (writer, row))"
               " ENGINE=InnoDB")
    writers = [Writer(test, server, n) for n in range(WRITERS)]
    harness.wait_until(lambda: all(writer.acknowledged >= ACKNOWLEDGED for writer in writers), "writers write")
    server.program.process.kill()
    server.program.wait(harness.STOP_SECONDS)
    for writer in writers:
        writer.thread.join()
        writer.client.wait(harness.STOP_SECONDS)
    again = Server(test, native_aio, under_test=under_test)
    harness.require("Starting crash recovery" in again.program.output(), "no recovery")
    for writer in writers:
        found = again.sql(f"SELECT COUNT(*), MAX(row), SUM(BINARY digest = SHA1(CONCAT(writer, ' ', row))) FROM"
                          f" test_data.ledger WHERE writer = {writer.number}")
        count, last, right = (int(value) for value in found.split())
        # One more may have been written than was acknowledged.
        harness.require(writer.acknowledged <= count <= writer.acknowledged + 1 and last == count - 1 and right == count,
                        f"writer {writer.number}: {writer.acknowledged} acknowledged, {found}")
    checked = again.sql("CHECK TABLE test_data.ledger EXTENDED")
    harness.require(checked.endswith("\tOK\n"), checked)
    return again


def held_connections(test, server):
    """100 connections in one sleeping query each, at the same time."""
    sleepers = [test.start(["/usr/bin/mariadb", "--no-defaults", *server.connection(over_tcp=n % 2 == 0), "--batch",
                            "--skip-column-names", "--execute", f"SELECT GET_LOCK('gate', 100), RELEASE_LOCK('gate'), {n}"],
                           under_test=False)
                for n in range(CONNECTIONS)]
    return sleepers


def check_peak(test, server):
    """Threads: while 100 connections wait for a lock that another one holds; then all get it, one by one."""
    holder = test.start(["/usr/bin/mariadb", "--no-defaults", *server.connection(), "--batch", "--skip-column-names",
                         "--unbuffered"], under_test=False, stdin=subprocess.PIPE)
    holder.process.stdin.write(b"SELECT 'held', GET_LOCK('gate', 10);\n")
    holder.process.stdin.flush()
    test.wait_for_text(holder, "held\t1")
    sleepers = held_connections(test, server)
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'"
    harness.wait_until(lambda: server.sql(waiting) == f"{CONNECTIONS}\n", "all connections wait for the lock")
    test.check_threads(server.program.pid, native_at_least=CONNECTIONS)
    holder.process.stdin.close()
    harness.require(holder.wait(30) == 0, "the holder of the lock failed")
    for n, sleeper in enumerate(sleepers):
        harness.require(sleeper.wait(60) == 0 and sleeper.output() == f"1\t1\t{n}\n", f"{n}: {sleeper.output()}")


def sysbench(test, server):
    tool = ["/usr/bin/sysbench", "/usr/share/sysbench/oltp_read_write.lua", "--db-driver=mysql", "--mysql-user=root",
            f"--mysql-socket={server.socket}", "--tables=2", "--table-size=2000", "--threads=16"]
    test.call([*tool, "prepare"], seconds=60)
    # The tool is a threaded program itself: it runs green too.
    output = test.call([*tool, "--time=5", "--histogram=off", "run"], under_test=True, seconds=60)
    transactions = int(output.split("transactions:")[1].split()[0])
    harness.require(transactions > 50, f"only {transactions} transactions in 5 s")
    print(f"sysbench: {transactions} transactions in 5 s")


def content(server):
    """What must be the same after a restart: counts and checksums of every table."""
    names = server.sql("SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE"
                       " table_schema IN ('test_data', 'slap_data', 'sbtest') ORDER BY 1").split()
    harness.require(len(names) == TABLES + 3, f"tables {names}")
    counts = [server.sql(f"SELECT '{name}', COUNT(*) FROM {name}") for name in names]
    sums = server.sql("CHECKSUM TABLE " + ", ".join(names) + " EXTENDED")
    checked = server.sql("CHECK TABLE " + ", ".join(names) + " EXTENDED")
    harness.require(all(line.endswith("\tOK") for line in checked.splitlines()), checked)
    for table in range(TABLES):
        expected = server.sql(f"SELECT COUNT(*), SUM(BINARY digest = SHA1(id + {table})) FROM test_data.t{table}")
        harness.require(expected == f"{ROWS}\t{ROWS}\n", f"test_data.t{table}: {expected}")
    return counts, sums


def run(test):
    (kind,) = test.arguments
    native_aio = kind == "uring"
    test.call(["/usr/bin/mariadb-install-db", "--no-defaults", *user_option(), f"--datadir={test.directory}/data",
               "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"], seconds=120)
    server = Server(test, native_aio, under_test=True)
    test.check_threads(server.program.pid, native_at_least=2)
    if native_aio:
        harness.require("InnoDB: Using io_uring" in server.program.output(), "no io_uring here")
    create(server)
    slap(test, server, over_tcp=False)
    check_peak(test, server)
    crowd(test, server)
    kill_query(test, server)
    sysbench(test, server)
    server = crash(test, server, native_aio, under_test=True)
    server = crash(test, server, native_aio, under_test=False)
    server.sql("DROP TABLE test_data.ledger")
    server.stop()
    server = Server(test, native_aio, under_test=True)
    before = content(server)
    server.stop()

    again = Server(test, native_aio, under_test=False)
    after = content(again)
    harness.require(before == after, f"the data changed:\n{before}\n{after}")
    again.stop()


harness.main(run, seconds=280)
