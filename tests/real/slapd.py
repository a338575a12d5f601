"""slapd with 32 threads and an LMDB data base: entries added, searched by many clients at once, kept on a restart."""

import signal

import harness

ENTRIES = 300
SEARCHERS = 24
CONFIGURATION = """
include /etc/ldap/schema/core.schema
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
threads 32
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw secret
directory {directory}/data
maxsize 67108864
index objectClass,cn eq
"""


def entries():
    yield "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n"
    for n in range(ENTRIES):
        yield f"dn: cn=person {n},dc=test\nobjectClass: person\ncn: person {n}\nsn: {n * n}\ndescription: group {n % 10}\n"


def start(test, uri, under_test):
    server = test.start(["/usr/sbin/slapd", "-d", "0", "-h", uri, "-f", test.directory / "slapd.conf"],
                        under_test=under_test)
    test.wait_for_port(server, int(uri.rstrip("/").rsplit(":", 1)[1]))
    return server


def bind(tool, uri):
    return [f"/usr/bin/{tool}", "-x", "-H", uri, "-D", "cn=admin,dc=test", "-w", "secret"]


def search(uri, pattern):
    return [*bind("ldapsearch", uri), "-LLL", "-o", "ldif-wrap=no", "-b", "dc=test", pattern, "sn"]


def check_all(test, uri, gone=()):
    found = test.call(search(uri, "(objectClass=person)"))
    expected = {f"sn: {n * n}" for n in range(ENTRIES) if n not in gone}
    numbers = [line for line in found.splitlines() if line.startswith("sn: ")]
    harness.require(len(numbers) == len(expected) and set(numbers) == expected, f"{len(numbers)} entries")


def run(test):
    (test.directory / "data").mkdir()
    (test.directory / "slapd.conf").write_text(CONFIGURATION.format(directory=test.directory))
    (test.directory / "entries.ldif").write_text("\n".join(entries()))
    uri = f"ldap://127.0.0.1:{harness.free_port()}/"
    server = start(test, uri, under_test=True)
    test.call([*bind("ldapadd", uri), "-f", test.directory / "entries.ldif"])
    check_all(test, uri)

    searchers = [test.start(search(uri, f"(description=group {n % 10})"), under_test=False) for n in range(SEARCHERS)]
    modifier = test.directory / "changes.ldif"
    modifier.write_text("\n".join(f"dn: cn=person {n},dc=test\nchangetype: delete\n" for n in range(0, 50)))
    test.call([*bind("ldapmodify", uri), "-f", modifier])
    for n, searcher in enumerate(searchers):
        harness.require(searcher.wait(60) == 0, searcher.output())
        numbers = [int(line[4:]) for line in searcher.output().splitlines() if line.startswith("sn: ")]
        wanted = [p * p for p in range(50, ENTRIES) if p % 10 == n % 10]
        harness.require(set(wanted) <= set(numbers), f"group {n % 10}: {numbers}")
    test.check_threads(server.pid, native_at_least=4)  # its pool grows with the load
    check_all(test, uri, gone=range(50))
    test.stop(server, signal.SIGTERM)

    again = start(test, uri, under_test=False)
    check_all(test, uri, gone=range(50))
    test.stop(again, signal.SIGTERM)


harness.main(run)
