"""PostgreSQL and RabbitMQ for tests of their clients: started native on free ports of 127.0.0.1, with data of their own.

Each start_… returns where its clients find it and a function that stops it.
"""

import os
import pathlib
import pwd
import signal

import harness


def service_user(name):
    """The user that a service runs as: its own if we are root, which services refuse or should not be."""
    return name if os.geteuid() == 0 else None


def own_folder(test, name, user):
    folder = test.directory / name
    folder.mkdir(mode=0o700)
    if user:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def start_postgres(test):
    """Everybody is trusted; the superuser is called test. Returns a connection string."""
    (tools,) = list(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    user = service_user("postgres")
    data = own_folder(test, "data", user)
    test.call([tools / "initdb", "-D", data, "-A", "trust", "-U", "test", "--no-sync"], user=user, cwd="/")
    port = harness.free_port()
    server = test.start([tools / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
                         "-c", "unix_socket_directories=", "-c", "max_connections=150", "-c", "fsync=off"],
                        under_test=False, user=user, cwd="/")
    test.wait_for_text(server, "ready to accept connections")
    return f"host=127.0.0.1 port={port} user=test dbname=postgres", lambda: test.stop(server, signal.SIGINT)


def start_rabbitmq(test):
    """User and password are guest. Returns the port.

    Nodes find each other through epmd, one for each machine as a rule: this one has its own, on a port of its own,
    so that it neither meets other nodes nor leaves a daemon behind.
    """
    user = service_user("rabbitmq")
    home = own_folder(test, "rabbitmq", user)
    port, node_port, epmd_port = (harness.free_port() for _ in range(3))
    environment = {"HOME": str(home), "ERL_EPMD_PORT": str(epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    epmd = test.start(["/usr/bin/epmd", "-port", epmd_port, "-address", "127.0.0.1"], under_test=False, user=user,
                      environment=environment, cwd="/")
    test.wait_for_port(epmd, epmd_port)
    environment |= {
        "RABBITMQ_NODENAME": "tendril@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": str(node_port),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"), "RABBITMQ_LOG_BASE": str(home), "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        # Nothing of what the machine's own RabbitMQ is told.
        "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": str(home / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "none"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1",
    }
    server = test.start(["/usr/lib/rabbitmq/bin/rabbitmq-server"], under_test=False, user=user,
                        environment=environment, cwd="/")
    test.wait_for_text(server, "Server startup complete")

    def stop():
        test.stop(server)
        test.stop(epmd, status=-signal.SIGTERM)

    return port, stop
