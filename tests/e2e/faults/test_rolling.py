"""Row G6: workers are replaced while clients call in a loop, and none of them notices."""

import http.client
import os
import signal
import threading
import time

from figures import FULL, Figure
from process import children
from served import Served

REQUESTS = 100_000 if FULL else 4_000


def test_g6_a_rolling_restart_fails_no_request(figure: Figure) -> None:
    served = Served("run", "tests/e2e/faults/pond.py", "--port", "0", "--workers", "2", "--log-level", "warning")
    served.ready()
    failed: list[BaseException | int] = []
    done = threading.Event()

    def call() -> None:
        """Requests on fresh connections: each one may meet a worker that is going."""
        for _ in range(REQUESTS // 2):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            try:
                connection.request("POST", "/drip", '{"count": 2}', {"content-type": "application/json"})
                response = connection.getresponse()
                if response.status != http.client.OK or response.read() != b"drop drop ":
                    failed.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)
            finally:
                connection.close()
        done.set()

    try:
        served.until(lambda: len(children(served.process.pid)) == 2, within=10.0)
        callers = [threading.Thread(target=call) for _ in range(2)]
        for caller in callers:
            caller.start()
        restarts = 0
        while not done.is_set():
            before = set(children(served.process.pid))
            os.kill(served.process.pid, signal.SIGHUP)
            served.line_with("2 workers replaced")
            served.until(lambda before=before: not before & set(children(served.process.pid)), within=10.0)
            restarts += 1
            time.sleep(0.1)
        for caller in callers:
            caller.join()
    finally:
        served.stop()
    assert restarts >= 1
    figure("G6", f"requests failed of {REQUESTS} in {restarts} rolling restarts", len(failed), 0)
