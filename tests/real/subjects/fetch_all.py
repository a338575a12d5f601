"""Fetches a slow server's pages with ThreadPoolExecutor: THREADS at once, then ROUNDS times as many in all."""

import concurrent.futures
import json
import sys
import time
import urllib.request

base, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def fetch(number):
    with urllib.request.urlopen(f"{base}/{number}", timeout=120) as reply:
        return number, int(reply.read())


with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    # The server answers none of these before all of them are there.
    first = dict(pool.map(fetch, range(threads)))
    begin = time.monotonic()
    later = dict(pool.map(fetch, range(threads, threads * (rounds + 1))))
    elapsed = time.monotonic() - begin
print(json.dumps({"answers": {**first, **later}, "elapsed": elapsed}))
