#!/usr/bin/env python3
"""check_chat PROGRAM: two clients talk through the chat server; it ends on SIGTERM."""
import socket
import subprocess
import sys

server = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)
try:
    port = int(server.stdout.readline().split()[-1])

    def enter(name):
        client = socket.create_connection(("127.0.0.1", port), timeout=20).makefile("rw")
        assert client.readline() == "Who are you?\n"
        say(client, name)
        return client

    def say(client, line):
        client.write(line + "\n")
        client.flush()

    ann = enter("ann")
    assert ann.readline() == "* ann has come\n"
    bob = enter("bob")
    assert bob.readline() == ann.readline() == "* bob has come\n"
    say(ann, "hello")
    assert bob.readline() == ann.readline() == "ann: hello\n"
    say(bob, "hi")
    assert bob.readline() == ann.readline() == "bob: hi\n"
    again = enter("bob")
    assert again.readline() == "", "a name that is taken is refused"
    bob.close()
    assert ann.readline() == "* bob has left\n"
    server.terminate()
    assert server.wait(20) == 0
finally:
    server.kill()
