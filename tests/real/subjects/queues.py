"""Producers and consumers, every primitive of `threading`, thread-locals. Prints one line for each part.

When most threads are alive it writes PEAK and waits for a line on its standard input.
"""

import queue
import sys
import threading
import time

PRODUCERS = 100
CONSUMERS = 100
ITEMS = 300


def run_all(functions):
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def producers_and_consumers(kind):
    q = kind(50) if kind is not queue.SimpleQueue else kind()
    sums = [0] * CONSUMERS
    counts = [0] * CONSUMERS

    def produce(p):
        for i in range(ITEMS):
            q.put(p * ITEMS + i)

    def consume(c):
        while (item := q.get()) >= 0:
            sums[c] += item
            counts[c] += 1

    consumers = [threading.Thread(target=consume, args=(c,)) for c in range(CONSUMERS)]
    for thread in consumers:
        thread.start()
    run_all([lambda p=p: produce(p) for p in range(PRODUCERS)])
    # A priority queue hands -1 out first: end the consumers only when all else is taken.
    while not q.empty():
        time.sleep(0.001)
    for _ in consumers:
        q.put(-1)
    for thread in consumers:
        thread.join()
    total = PRODUCERS * ITEMS
    assert sum(counts) == total, (sum(counts), total)
    assert sum(sums) == total * (total - 1) // 2
    assert q.empty()


def queue_timeouts():
    q = queue.Queue(1)
    begin = time.monotonic()
    try:
        q.get(timeout=0.2)
        raise AssertionError("got something")
    except queue.Empty:
        pass
    q.put(1)
    try:
        q.put(2, timeout=0.2)
        raise AssertionError("put too much")
    except queue.Full:
        pass
    assert 0.4 <= time.monotonic() - begin < 5
    threading.Timer(0.1, q.get).start()
    q.put(2, timeout=30)
    threading.Timer(0.1, lambda: (q.get(), q.task_done(), q.task_done())).start()
    q.join()


def lock_counts():
    lock, rlock = threading.Lock(), threading.RLock()
    n = {"lock": 0, "rlock": 0}

    def work():
        for _ in range(200):
            with lock:
                seen = n["lock"]
                time.sleep(0)
                n["lock"] = seen + 1
            with rlock, rlock:
                seen = n["rlock"]
                time.sleep(0)
                n["rlock"] = seen + 1

    run_all([work] * 50)
    assert n == {"lock": 10000, "rlock": 10000}, n
    lock.acquire()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0.05)


def condition_ping_pong():
    condition = threading.Condition()
    turn = [0]
    players = 20

    def play(me):
        for round_number in range(100):
            with condition:
                assert condition.wait_for(lambda: turn[0] == round_number * players + me, timeout=60)
                turn[0] += 1
                condition.notify_all()

    run_all([lambda me=me: play(me) for me in range(players)])
    assert turn[0] == players * 100
    with condition:
        assert not condition.wait(timeout=0.05)


def events_barriers_semaphores_timers():
    event, started = threading.Event(), threading.Semaphore(0)

    def wait():
        started.release()
        assert event.wait(60)

    waiters = [threading.Thread(target=wait) for _ in range(100)]
    for thread in waiters:
        thread.start()
    for _ in waiters:
        assert started.acquire(timeout=60)
    assert not event.wait(0.01)
    event.set()
    for thread in waiters:
        thread.join()

    parties, rounds = 50, 20
    barrier = threading.Barrier(parties)
    passed = []

    def meet():
        for _ in range(rounds):
            if barrier.wait(60) == 0:
                passed.append(1)

    run_all([meet] * parties)
    assert len(passed) == rounds
    short = threading.Barrier(2)
    try:
        short.wait(0.05)
        raise AssertionError("passed alone")
    except threading.BrokenBarrierError:
        pass

    bounded, inside, most = threading.BoundedSemaphore(7), [0], [0]
    guard = threading.Lock()

    def enter():
        for _ in range(10):
            with bounded:
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                with guard:
                    inside[0] -= 1

    run_all([enter] * 40)
    assert most[0] == 7 and inside[0] == 0, (most, inside)

    fired = queue.Queue()
    timers = [threading.Timer(0.01 * (10 - n), fired.put, args=(n,)) for n in range(10)]
    cancelled = threading.Timer(0.05, fired.put, args=("cancelled",))
    for timer in [*timers, cancelled]:
        timer.start()
    cancelled.cancel()
    for timer in timers:
        timer.join()
    assert sorted(fired.get() for _ in timers) == list(range(10))
    assert fired.empty()


def thread_locals():
    local = threading.local()
    idents, natives = set(), set()
    barrier = threading.Barrier(200)

    def work(n):
        local.value = n
        local.items = []
        idents.add(threading.get_ident())
        natives.add(threading.get_native_id())
        barrier.wait(60)
        for i in range(50):
            local.items.append(i + n)
            if i % 10 == 0:
                time.sleep(0)
        assert local.value == n and local.items == [i + n for i in range(50)]

    run_all([lambda n=n: work(n) for n in range(200)])
    assert len(idents) == 200 and len(natives) == 200
    assert not hasattr(local, "value")


def peak():
    """500 threads alive, waiting in different ways, while the driver looks at the process."""
    done, q, lock = threading.Event(), queue.Queue(), threading.Lock()
    lock.acquire()

    def wait_for_lock():
        with lock:
            pass

    ways = [done.wait, q.get, wait_for_lock, lambda: done.wait(600), lambda: q.get(timeout=600)]
    threads = [threading.Thread(target=ways[n % len(ways)]) for n in range(500)]
    for thread in threads:
        thread.start()
    print("PEAK", threading.active_count(), flush=True)
    sys.stdin.readline()
    done.set()
    lock.release()
    for _ in threads:
        q.put(None)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue):
    producers_and_consumers(kind)
    print("sums of", kind.__name__, flush=True)
for part in (queue_timeouts, lock_counts, condition_ping_pong, events_barriers_semaphores_timers,
             thread_locals, peak):
    part()
    print(part.__name__, flush=True)
assert threading.active_count() == 1
print("all done")
