import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from headrace.engines.vllm.guard import Guard

SLEEPER = ["sleep", "60"]
AT_THE_WISH = """
import signal, sys, time
signal.signal(signal.SIGTERM, {})
print(flush=True)
time.sleep(60)
"""
STUBBORN = [sys.executable, "-c", AT_THE_WISH.format("signal.SIG_IGN")]
ORDERLY = [sys.executable, "-c", AT_THE_WISH.format("lambda *_: sys.exit(7 * bool(sum(range(10**7))))")]
KILLED = """
import os, signal, sys
from headrace.engines.vllm.guard import Guard
print(Guard([int(sys.argv[1])]).pid, flush=True)
sys.stdin.read(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER) as process:
        yield process
        process.kill()


def ends(pid: int, seconds: float) -> bool:
    """Whether the process ends within this time."""
    process = os.pidfd_open(pid)
    try:
        return bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


def test_closing_ends_what_is_guarded(sleeper: subprocess.Popen[bytes]) -> None:
    Guard([sleeper.pid]).close()
    assert sleeper.wait(5) == -signal.SIGTERM


def test_what_does_not_end_by_a_wish_ends_by_force() -> None:
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        Guard([stubborn.pid], grace=0.1).close()
        assert stubborn.wait(5) == -signal.SIGKILL


def test_what_ends_in_its_own_way_is_given_time() -> None:
    with subprocess.Popen(ORDERLY, stdout=subprocess.PIPE) as orderly:
        assert orderly.stdout is not None
        orderly.stdout.readline()
        Guard([orderly.pid]).close()
        assert orderly.wait(5) == 7


def test_what_has_ended_before_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    guard = Guard([sleeper.pid])
    sleeper.kill()
    sleeper.wait()
    guard.close()


def test_a_process_that_is_not_there_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    gone = subprocess.Popen(SLEEPER)
    gone.kill()
    gone.wait()
    Guard([gone.pid]).close()
    assert capfd.readouterr().err == ""


def test_when_the_process_that_guards_is_killed_what_is_guarded_ends(sleeper: subprocess.Popen[bytes]) -> None:
    command = [sys.executable, "-c", KILLED, str(sleeper.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        guard = int(killed.stdout.readline())
        assert os.getsid(guard) == guard  # Ctrl-C at the terminal does not reach it
        assert not ends(sleeper.pid, 0.3)
        killed.communicate(b"x", timeout=5)
    assert killed.returncode == -signal.SIGKILL
    assert ends(sleeper.pid, 5)
    assert sleeper.wait(5) == -signal.SIGTERM
