"""Benchmarks of programs with threads on all processors: native against green, turn by turn in one run.

A benchmark is a function (programs, cores, options), as those of `run` are. Nothing is bound to a
processor: what is measured is also where the workers and the load generator get theirs.
"""

from many_cores import connections, mariadb, processors, python_http, python_web

BENCHMARKS = {"cores": processors.run, "connections": connections.run, "mariadb": mariadb.run,
              "python_http": python_http.run, "python_web": python_web.run}
