"""gunicorn with the gthread worker: two pre-forked processes of 40 threads each."""

import pathlib

import harness
import http_load

SUBJECTS = pathlib.Path(__file__).parent / "subjects"
THREADS = 40


def run(test):
    port = harness.free_port()
    server = test.start(["/usr/bin/gunicorn", "--worker-class", "gthread", "--workers", 2, "--threads", THREADS,
                         "--bind", f"127.0.0.1:{port}", "--keep-alive", 30, "--worker-tmp-dir", test.directory,
                         "--chdir", SUBJECTS, "web_application:application"],
                        environment={"PYTHONDONTWRITEBYTECODE": "1"})
    test.wait_for_text(server, "Listening at")
    harness.wait_until(lambda: server.output().count("Booting worker") == 2, "both workers")

    def square(number):
        return f"/{number}", lambda status, body: status == 200 and int(body) == number * number

    http_load.one_shot(port, 2000, 100, square)
    for pid in test.check_children(server, at_least=2):
        test.check_threads(pid, native_at_least=THREADS // 2)
    test.stop(server)
    harness.require("Traceback" not in server.output(), "a worker reported an exception")


harness.main(run)
