"""mariadbd from a fresh data directory: load by mysqlslap and sysbench, SIGTERM, native restart, data intact.

Argument: uring (InnoDB's default asynchronous I/O) or threads (--innodb-use-native-aio=0).
"""

import os
import signal

import harness

CONNECTIONS = 100
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
             f"--innodb-use-native-aio={int(native_aio)}", "--max-connections=300", "--innodb-buffer-pool-size=64M",
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
                         "--unbuffered"], under_test=False, stdin=harness.subprocess.PIPE)
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
    sysbench(test, server)
    before = content(server)
    server.stop()

    again = Server(test, native_aio, under_test=False)
    after = content(again)
    harness.require(before == after, f"the data changed:\n{before}\n{after}")
    again.stop()


harness.main(run, seconds=280)
