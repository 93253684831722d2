"""Growth can be measured: not how flat it is."""

import subprocess
import sys

import pytest
from programs import needed
from served import REPOSITORY


@pytest.mark.slow
def test_the_cost_of_an_item_can_be_measured_along_all_three_axes() -> None:
    needed("cc", "gcc libc6-dev")
    command = [sys.executable, "-m", "bench.growth", "--smoke"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    tables = [table.splitlines() for table in done.stdout.split("\n\n")]
    assert [[row.split(" | ")[0].removeprefix("| ") for row in table[2:]] for table in tables[:3]] == [
        ["1", "8", "64", "256", "1,000", "2,000"],
        ["4 B", "64 B", "1 KB", "16 KB", "256 KB", "1 MB"],
        ["10", "100", "1,000", "10,000", "100,000", "1,000,000"],
    ]
    assert "cheapest row" in tables[3][0]
