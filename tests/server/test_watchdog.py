import asyncio
import inspect
import logging
import re
import threading
from pathlib import Path

import pytest

from headrace.server.watchdog import DEAD_SECONDS, Watchdog, Worst

HERE = "tests/server/test_watchdog.py"


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Chat:
    """Code of a user's, seen while it blocks."""

    def __init__(self, watchdog: Watchdog) -> None:
        self.watchdog = watchdog

    async def generate(self) -> None:
        self.work()

    async def sleep(self) -> None:
        self.watchdog.look(inspect.currentframe())  # time.sleep(1)

    def work(self) -> None:
        self.watchdog.look(inspect.currentframe())

    def work_elsewhere(self) -> None:
        self.watchdog.look(inspect.currentframe())


def line_of(function: object) -> int:
    return inspect.getsourcelines(function)[1] + 1  # type: ignore[arg-type]


def run(coroutine: object) -> None:
    with pytest.raises(StopIteration):
        coroutine.send(None)  # type: ignore[attr-defined]


def stalled(seconds: float) -> tuple[Watchdog, Clock]:
    """A watchdog of one second whose loop has stood still so long."""
    clock = Clock()
    watchdog = Watchdog(1.0, clock)
    clock.now += 0.25 + seconds  # a time stamp is due every 0.25 s
    return watchdog, clock


def test_a_loop_that_stands_still_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, _ = stalled(1.003)
    Chat(watchdog).work()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"HR07 the event loop stood still 1003 ms in {HERE}:{line_of(Chat.work)} "
            "self.watchdog.look(inspect.currentframe()) (Chat.work). Other streams waited. Use an async call",
        )
    ]


def test_the_async_method_may_run_in_a_thread_instead(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, _ = stalled(2)
    run(Chat(watchdog).generate())
    assert (
        "(Chat.work). Other streams waited. Use an async call, or def generate(...) to run in a thread" in caplog.text
    )


def test_for_a_call_that_is_known_the_better_one_is_named(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, _ = stalled(2)
    run(Chat(watchdog).sleep())
    assert "Use await asyncio.sleep, or def sleep(...) to run in a thread" in caplog.text


def test_below_the_limit_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, _ = stalled(0.99)
    Chat(watchdog).work()
    watchdog.beat()
    assert caplog.text == ""


def test_a_line_is_told_once_and_another_one_again(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, clock = stalled(2)
    chat = Chat(watchdog)
    for block in (chat.work, chat.work, chat.work_elsewhere):
        block()
        watchdog.beat()
        clock.now += 2.25
    assert [re.findall(r"\((Chat\.\w+)\)", record.getMessage()) for record in caplog.records] == [
        ["Chat.work"],
        ["Chat.work_elsewhere"],
    ]


def test_a_pause_that_nobody_saw_is_told_once_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, clock = stalled(2)
    watchdog.look(None)
    watchdog.beat()
    clock.now += 5
    watchdog.beat()
    assert [record.getMessage() for record in caplog.records] == [
        "HR07 the event loop stood still 2000 ms and no line of yours was seen at it: the process was paused, "
        "a C extension held the interpreter, or an item was very large. Other streams waited."
    ]


def test_a_loop_that_is_as_good_as_dead_is_told_with_its_stack_once(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, clock = stalled(DEAD_SECONDS - 1)
    chat = Chat(watchdog)
    chat.work()
    for _ in range(3):
        clock.now += 2
        chat.work()
    assert [record.levelname for record in caplog.records] == ["WARNING", "CRITICAL"]
    assert "the event loop has stood still for 31 s\nTraceback" in caplog.text
    assert f'{HERE}", line {line_of(Chat.work)}, in work' in caplog.text


async def test_a_real_loop_that_stands_still_is_caught_in_the_act() -> None:
    told = threading.Event()
    lines: list[str] = []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())  # here and not by caplog, whose turn comes after we have gone on
            told.set()

    handler = Told()
    logging.getLogger("headrace.server").addHandler(handler)
    try:
        async with Watchdog(0.05).watching() as watchdog:
            (thread,) = [each for each in threading.enumerate() if each.name == "headrace-watchdog"]
            await asyncio.sleep(0)
            assert told.wait(10)  # keeps the loop from running until the thread has told of it
            await asyncio.sleep(0)
            assert watchdog.lag >= 0.05
        await asyncio.to_thread(thread.join, 10)  # it may still be about the same line for the log of the next test
    finally:
        logging.getLogger("headrace.server").removeHandler(handler)
    assert f"in {HERE}:" in lines[0]
    assert "assert told.wait(10)" in lines[0]


def test_the_script_that_runs_the_loop_is_not_blamed(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watchdog = Watchdog(1.0, clock)
    script = inspect.currentframe()

    async def main() -> None:
        async with watchdog.watching():
            await asyncio.sleep(0)
            clock.now += 5
            watchdog.look(script)

    asyncio.run(main())
    assert caplog.text == ""


async def test_after_the_block_the_thread_ends_and_the_loop_has_no_timer() -> None:
    async with Watchdog(0.05).watching():
        (thread,) = [each for each in threading.enumerate() if each.name == "headrace-watchdog"]
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


def test_the_thread_rests_until_there_can_be_something_to_tell() -> None:
    clock = Clock()
    watchdog = Watchdog(1.0, clock)
    assert watchdog.rest() == pytest.approx(1.251)
    clock.now += 0.75
    assert watchdog.rest() == pytest.approx(0.501)
    watchdog.beat()
    assert watchdog.rest() == pytest.approx(1.251)
    clock.now += 5
    assert watchdog.rest() == 1.0


def test_the_lag_is_the_worst_of_late() -> None:
    watchdog, clock = stalled(0.7)
    assert watchdog.lag == pytest.approx(0.7)
    watchdog.beat()
    clock.now += 0.2
    watchdog.beat()
    assert watchdog.lag == pytest.approx(0.7)


def test_the_worst_is_of_the_span_and_the_one_before_it() -> None:
    worst = Worst(15)
    worst.add(1000, 3)
    worst.add(1001, 1)
    assert worst.value(1002) == 3
    assert worst.value(1016) == 3
    worst.add(1017, 2)
    assert worst.value(1032) == 2
    assert worst.value(1100, 1) == 1


def test_the_page_shows_what_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "reference" / "mistakes.md").read_text("utf-8")
    section = page.partition("\n## HR07\n")[2].partition("\n## ")[0]
    source, told = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "time.sleep" in text)
    assert f"app.py:{line} {source.splitlines()[line - 1].strip()} (Poet.write)." in told
    watchdog, _ = stalled(1.003)

    async def write() -> None:
        watchdog.look(inspect.currentframe())  # time.sleep(

    run(write())
    shape = re.sub(r"in \S+ .*?\([\w.]+\)\. ", "", told.strip())
    assert re.sub(r"in \S+ .*\([\w.]+\)\. ", "", caplog.records[0].getMessage()) == shape
