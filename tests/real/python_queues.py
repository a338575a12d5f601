"""queue.Queue producers and consumers, the primitives of threading, thread-locals: all in one Python process."""

import pathlib
import subprocess

import harness

SUBJECT = pathlib.Path(__file__).parent / "subjects" / "queues.py"
EXPECTED = """\
sums of Queue
sums of LifoQueue
sums of PriorityQueue
sums of SimpleQueue
queue_timeouts
lock_counts
condition_ping_pong
events_barriers_semaphores_timers
thread_locals
PEAK 501
peak
all done
"""


def run(test):
    program = test.start(["/usr/bin/python3", SUBJECT], stdin=subprocess.PIPE)
    test.wait_for_text(program, "PEAK", seconds=120)
    test.check_threads(program.pid, native_at_least=501)
    program.process.stdin.write(b"go on\n")
    program.process.stdin.close()
    harness.require(program.wait(60) == 0, f"status {program.process.returncode}")
    harness.require(program.output() == EXPECTED, "the output differs")


harness.main(run)
