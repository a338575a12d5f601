#!/usr/bin/env python3
"""check_ftp_server PROGRAM: files go to and fro by curl and by Python's ftplib, many at once."""
import concurrent.futures
import ftplib
import io
import os
import pathlib
import subprocess
import sys
import tempfile

LARGE = 3_000_000
AT_ONCE = 20


def curl(*arguments):
    done = subprocess.run(["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "40", *arguments],
                          capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, f"curl {arguments}: {done.returncode} {done.stderr}"
    return done.stdout


def log_in(port):
    client = ftplib.FTP(timeout=40)
    client.connect("127.0.0.1", port)
    client.login("ann", "secret")
    return client


def check_curl(url, folder, work):
    content = os.urandom(LARGE)
    (work / "large").write_bytes(content)
    curl("-T", work / "large", f"{url}/large")
    assert (folder / "large").read_bytes() == content, "what curl stored is not what it sent"
    assert curl(f"{url}/large") == content, "what curl got is not what it had stored"
    assert curl("--disable-epsv", f"{url}/sub/inside") == b"inside"
    assert curl("--list-only", f"{url}/").split() == [b"empty", b"large", b"sub"]
    lines = [line.split() for line in curl(f"{url}/").decode().splitlines()]
    assert [(words[0][0], words[4], words[8]) for words in lines if words[8] != "sub"] == [
        ("-", "0", "empty"), ("-", str(LARGE), "large")], lines
    assert curl(f"{url}/empty") == b""
    refused = subprocess.run(["curl", "--silent", "--noproxy", "*", f"{url}/missing"], timeout=50, check=False)
    assert refused.returncode == 78, "CURLE_REMOTE_FILE_NOT_FOUND was expected"


def check_session(port, folder):
    """What curl does not ask for: rules of the control connection, and folders."""
    stranger = ftplib.FTP(timeout=40)
    stranger.connect("127.0.0.1", port)
    for command, answer in (("PWD", "530"), ("FROB", "502"), ("QUIT", "221")):
        try:
            assert stranger.sendcmd(command).startswith(answer)
        except ftplib.error_perm as error:
            assert str(error).startswith(answer), error
    stranger.close()

    client = log_in(port)
    assert client.cwd("sub") and client.pwd() == "/sub"
    assert client.nlst() == ["inside"] and client.size("inside") == 6
    client.cwd("../../..")
    assert client.pwd() == "/", "the root has no parent"
    for name in ("../outside", "sub/../../outside", "/../outside"):
        try:
            client.size(name)
            raise AssertionError(f"{name} leads out of the folder")
        except ftplib.error_perm as error:
            assert str(error).startswith("550"), error
    client.storbinary("STOR short-lived", io.BytesIO(b"x"))
    client.delete("short-lived")
    assert not (folder / "short-lived").exists()
    client.quit()


def check_many(port, folder):
    """All of them transfer at once, while others are connected and say nothing."""
    silent = [log_in(port) for _ in range(AT_ONCE)]

    def there_and_back(number):
        content = bytes([number]) * (100_000 + number)
        client = log_in(port)
        client.storbinary(f"STOR file-{number}", io.BytesIO(content))
        parts = []
        client.retrbinary(f"RETR file-{number}", parts.append)
        client.quit()
        assert (folder / f"file-{number}").read_bytes() == content == b"".join(parts), number

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as clients:
        list(clients.map(there_and_back, range(AT_ONCE)))
    for client in silent:
        assert client.pwd() == "/"
        client.close()


with tempfile.TemporaryDirectory(prefix="tendril-ftp-") as directory:
    work = pathlib.Path(directory)
    folder = work / "served"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "inside").write_bytes(b"inside")
    (folder / "empty").touch()
    (work / "outside").write_bytes(b"outside")
    server = subprocess.Popen([sys.argv[1], folder], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[-1])
        check_curl(f"ftp://127.0.0.1:{port}", folder, work)
        check_session(port, folder)
        check_many(port, folder)
        server.terminate()
        assert server.wait(20) == 0
    finally:
        server.kill()
