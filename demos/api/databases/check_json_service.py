"""Orders by HTTP, from PostgreSQL and through RabbitMQ: none lost, none twice.

Argument: the program. It links the shim, so it needs no tendril command.
"""

import concurrent.futures
import http.client
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "real"))
import backends
import harness

ORDERS = 60
CLIENTS = 20


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None):
        """The status, and the answer out of JSON."""
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        text = response.read()
        harness.require(response.getheader("Content-Type") == "application/json", f"{method} {path}: {text}")
        return response.status, json.loads(text)


def start(test, program, database, amqp_port, packers):
    service = test.start([program, database, amqp_port, packers], under_test=False)
    return service, int(test.wait_for_text(service, "\n").split()[-1])


def order_of(number):
    return {"item": f"tea № {number}", "pieces": number + 1}


def take_orders(port):
    """Many clients at once; returns {id: number}."""
    def take(numbers):
        client = Client(port)
        taken = {}
        for number in numbers:
            status, order = client.ask("POST", "/orders", json.dumps(order_of(number)))
            harness.require(status == 201, f"order {number}: {status} {order}")
            identity = order.pop("id")
            harness.require(order == {**order_of(number), "state": "received"}, f"order {number}: {order}")
            taken[identity] = number
        return taken

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
        parts = list(threads.map(take, [range(first, ORDERS, CLIENTS) for first in range(CLIENTS)]))
    taken = {identity: number for part in parts for identity, number in part.items()}
    harness.require(len(taken) == ORDERS, f"{len(taken)} different orders")
    return taken


def check_refusals(client):
    for method, path, body, status in (
        ("POST", "/orders", '{"item": "tea"', 400), ("POST", "/orders", '{"item": "tea"}', 400),
        ("POST", "/orders", '{"item": "tea", "pieces": "two"}', 400), ("POST", "/orders", '{"item": "tea", "pieces": 0}', 400),
        ("GET", "/orders/0", None, 404), ("GET", "/orders/1%20or%201", None, 404), ("DELETE", "/orders", None, 404),
    ):
        got, answer = client.ask(method, path, body)
        harness.require(got == status and list(answer) == ["error"], f"{method} {path} {body}: {got} {answer}")


def run(test):
    (program,) = test.arguments
    database, stop_postgres = backends.start_postgres(test)
    amqp_port, stop_rabbitmq = backends.start_rabbitmq(test)

    # Nobody packs: what is taken stays in the queue, also when the service ends.
    service, port = start(test, program, database, amqp_port, 0)
    taken = take_orders(port)
    client = Client(port)
    harness.require(client.ask("GET", "/orders") == (200, {"received": ORDERS, "packed": 0}), "the orders taken")
    check_refusals(client)
    test.check_threads(service.pid)
    test.stop(service)

    service, port = start(test, program, database, amqp_port, 2)
    client = Client(port)
    all_packed = (200, {"received": 0, "packed": ORDERS})
    harness.wait_until(lambda: client.ask("GET", "/orders") == all_packed, "all orders are packed")
    for identity, number in taken.items():
        expected = {**order_of(number), "id": identity, "state": "packed"}
        harness.require(client.ask("GET", f"/orders/{identity}") == (200, expected), f"order {number}")
    test.stop(service)
    stop_rabbitmq()
    stop_postgres()
    print(f"{ORDERS} orders taken from {CLIENTS} clients, packed after a restart")


harness.main(run)
