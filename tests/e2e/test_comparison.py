"""The comparison with other frameworks works: not how fast anything is."""

import subprocess
import sys

import pytest
from programs import needed
from served import REPOSITORY


@pytest.mark.slow
def test_headrace_and_the_limit_can_be_compared() -> None:
    needed("cc", "gcc libc6-dev")
    command = [sys.executable, "-m", "bench.compare", "--smoke"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert head == "| CPU µs per item | limit | headrace |"
    names = [row.split("`")[1] for row in rows if row.startswith("| `")]
    assert names == [
        "plain/64",
        "yield0/64",
        "sync/64",
        "paced/200",
        "engine/256",
        "engine/256 pushed",
        "ws/64",
        "one item",
    ]
