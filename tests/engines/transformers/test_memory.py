import sys
from pathlib import Path

import pytest
import torch

from headrace.engines.transformers.memory import NoRoom, fitting, free_bytes

CPU = torch.device("cpu")
MEMINFO = "MemTotal:       8000 kB\nMemAvailable:   1000 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("free", "positions"),
    [
        (10**9, 100),  # all that are wanted
        (100_000, 80),  # four fifths of what is free
        (30_000, 24),
    ],
)
def test_a_pool_has_as_many_positions_as_there_is_room_for(free: int, positions: int) -> None:
    assert fitting(rows=10, most=100, least=24, position_bytes=100, free=free) == positions


def test_a_pool_that_has_no_room_for_the_least_is_refused() -> None:
    with pytest.raises(NoRoom, match="there is room for 23 positions in each of 10 rows, not for 24"):
        fitting(rows=10, most=100, least=24, position_bytes=100, free=29_999)


def test_what_takes_no_memory_before_it_is_used_has_room() -> None:
    assert fitting(rows=10, most=100, least=100, position_bytes=0, free=10_000) == 100


def test_what_the_machine_can_give_is_free(tmp_path: Path) -> None:
    assert free_bytes(CPU, system(tmp_path, {"proc/meminfo": MEMINFO})) == 1_024_000


@pytest.mark.parametrize(
    ("limit", "used", "stat", "free"),
    [
        ("900000", "500000", "anon 9\n", 400_000),
        ("900000", "500000", "anon 9\ninactive_file 100000\n", 500_000),
        ("900000", "950000", "anon 9\n", 0),
        ("9000000", "500000", "anon 9\n", 1_024_000),  # the machine has less
        ("max", "500000", "anon 9\n", 1_024_000),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path: Path, limit: str, used: str, stat: str, free: int) -> None:
    group = {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": stat}
    files = {"proc/meminfo": MEMINFO, **{f"sys/fs/cgroup/{name}": text for name, text in group.items()}}
    assert free_bytes(CPU, system(tmp_path, files)) == free


def test_where_it_is_not_known_there_is_no_end_of_it(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) >= sys.maxsize
    assert free_bytes(torch.device("meta")) == sys.maxsize


def test_this_machine_has_some() -> None:
    assert 2**20 < free_bytes(CPU) < 2**50
