"""What counts sees each way of growing too fast, and nothing else: the rule on code that is known to break it."""

import asyncio
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from growth import CountingLoop, Work, complaints, counts, flat

HERE = Path(__file__)
AMOUNTS = (50, 200, 800)


def growing(work: Callable[[int], object], *, threads: bool = False) -> list[str]:
    """Which of the counts grow too fast."""

    async def doing(amount: int, counting: Any) -> None:
        with counting():
            work(amount)

    counted = counts(doing, AMOUNTS, threads=threads, source=HERE)
    return [each.partition(":")[0] for each in complaints(counted, threads=threads)]


def loops_inside_a_loop(amount: int) -> None:
    for number in range(amount):
        for _ in range(number):
            pass


def comprehends_all_for_each(amount: int) -> None:
    for number in range(amount):
        [None for _ in range(number)]


def counts_all_for_each(amount: int) -> None:
    held = []
    for number in range(amount):
        held.append("item")
        assert sum(map(len, held)) == 4 * (number + 1)


def looks_into_a_list_for_each(amount: int) -> None:
    held: list[int] = []
    for number in range(amount):
        if number not in held:
            held.append(number)


class Buffer:
    """Looks for a line in all that came so far."""

    def __init__(self) -> None:
        self.came = bytearray()

    def add(self, piece: bytes) -> int:
        self.came += piece
        return self.came.find(b"\n")


def searches_its_buffer_for_each(amount: int) -> None:
    buffer = Buffer()
    for _ in range(amount):
        buffer.add(b"piece")


def appended(held: list[bytes], item: bytes) -> list[bytes]:
    return [*held, item]


def copies_a_list_for_each(amount: int) -> None:
    held: list[bytes] = []
    for _ in range(amount):
        held = appended(held, b"item")


def added(held: bytes, item: bytes) -> bytes:
    return held + item


def copies_its_bytes_for_each(amount: int) -> None:
    held = b""
    for _ in range(amount):
        held = added(held, b"an item")


def calls_back_for_each_before(amount: int) -> None:
    for number in range(amount):
        for loop in [asyncio.get_running_loop()] * (number // 10):
            loop.call_soon(bool)


def loops_in_a_thread(amount: int) -> None:
    thread = threading.Thread(target=loops_inside_a_loop, args=(amount,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("work", "count"),
    [
        (loops_inside_a_loop, "steps"),
        (comprehends_all_for_each, "steps"),
        (counts_all_for_each, "passed"),
        (looks_into_a_list_for_each, "passed"),
        (searches_its_buffer_for_each, "passed"),
        (copies_a_list_for_each, "memory"),
        (copies_its_bytes_for_each, "memory"),
        (calls_back_for_each_before, "scheduled"),
    ],
)
def test_what_grows_too_fast_is_counted(work: Callable[[int], object], count: str) -> None:
    assert count in growing(work)


def test_threads_are_counted_as_well() -> None:
    assert growing(loops_in_a_thread, threads=True) == ["steps"]


def straight(amount: int) -> None:
    """Appends, joins once, looks into a hash table, and goes through all of it once."""
    held, seen, buffer = list[bytes](), set[int](), bytearray()
    for number in range(amount):
        held.append(b"item")
        buffer += b"item"
        if number not in seen:
            seen.add(number)
        appended(list(islice(held, 3)), b"item")
        asyncio.get_running_loop().call_soon(bool)
    assert sum(map(len, held)) == len(b"".join(held)) == len(buffer)


def test_what_grows_in_a_straight_line_is_flat() -> None:
    assert growing(straight) == []


def test_what_does_not_grow_at_all_is_flat() -> None:
    assert growing(lambda amount: straight(10)) == []


def test_code_elsewhere_does_not_count() -> None:
    async def doing(amount: int, counting: Any) -> None:
        with counting():
            loops_inside_a_loop(amount)

    _, _, most = flat(doing, (5, 20, 80))
    assert not most.steps


def test_a_failure_says_where_it_comes_from() -> None:
    async def doing(amount: int, counting: Any) -> None:
        with counting():
            loops_inside_a_loop(amount)

    with pytest.raises(pytest.fail.Exception, match=r"steps: .* times a straight line\. Most at here:\d+"):
        flat(doing, AMOUNTS, source=HERE)


def test_the_clock_of_the_loop_does_not_depend_on_the_machine() -> None:
    async def times() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(0)
        soon = loop.time()
        await asyncio.sleep(100)
        return [round(soon - began, 6), round(loop.time() - soon, 3)]

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert runner.run(times()) == [0.00005, 100.0]


def test_nothing_is_counted_of_what_stands_outside_of_the_block() -> None:
    async def doing(amount: int, counting: Any) -> None:
        loops_inside_a_loop(amount)
        with counting():
            pass
        loops_inside_a_loop(amount)

    (_, work), *_ = counts(doing, AMOUNTS, threads=False, source=HERE)
    assert (work.steps, work.passed) == (Work().steps, Work().passed)
