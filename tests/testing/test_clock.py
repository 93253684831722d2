import asyncio
import threading
import time

import pytest

from headrace.testing.clock import VirtualLoop, run


def test_an_hour_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(main) == 3600
    assert time.monotonic() - began < 5


def test_timers_come_in_their_order() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def note(name: str, after: float) -> None:
            await asyncio.sleep(after)
            order.append(f"{name} at {asyncio.get_running_loop().time():g}")

        await asyncio.gather(note("late", 20), note("early", 5), note("between", 10))
        return order

    assert run(main) == ["early at 5", "between at 10", "late at 20"]


def test_a_timeout_comes_at_its_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main) == 60


def test_what_is_ready_comes_before_the_next_timer() -> None:
    async def main() -> float:
        timer = asyncio.get_running_loop().call_later(1, lambda: None)
        for _ in range(100):
            await asyncio.sleep(0)
        timer.cancel()
        return asyncio.get_running_loop().time()

    assert run(main) == 0


def test_the_clock_stands_still_while_a_thread_of_the_loop_works() -> None:
    async def main() -> tuple[float, bool]:
        go = threading.Event()
        slow = asyncio.create_task(asyncio.to_thread(go.wait, 5))
        released = asyncio.create_task(asyncio.to_thread(go.set))
        async with asyncio.timeout(0.001):
            done = await slow
        await released
        return asyncio.get_running_loop().time(), done

    assert run(main) == (0, True)


def test_the_clock_goes_on_when_the_thread_is_through() -> None:
    async def main() -> float:
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(7)
        return asyncio.get_running_loop().time()

    assert run(main) == 7


def test_a_thread_that_raises_does_not_stop_the_clock() -> None:
    async def main() -> float:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        await asyncio.sleep(7)
        return asyncio.get_running_loop().time()

    assert run(main) == 7


def test_the_end_waits_for_the_threads_of_the_executor_without_a_limit() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        go = threading.Event()
        waiting = loop.run_in_executor(None, go.wait, 5)
        await asyncio.to_thread(go.set)
        await loop.shutdown_default_executor(0.001)  # type: ignore[call-arg, unused-ignore]
        return waiting.done()

    assert run(main)


class Impatient(VirtualLoop):
    patience = 0.05


def test_a_loop_that_waits_for_nobody_says_so() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with (
        asyncio.Runner(loop_factory=Impatient) as runner,
        pytest.raises(AssertionError, match="nobody has done within"),
    ):
        runner.run(main())


def test_it_is_patient_for_ten_seconds() -> None:
    assert VirtualLoop.patience == 10


def test_jumps_count_the_waits_for_a_timer() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        before = loop.jumps
        await asyncio.sleep(1)
        await asyncio.sleep(1)
        return loop.jumps - before

    assert run(main) == 2


def test_every_run_begins_at_nought() -> None:
    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(5)
        return began

    assert [run(main), run(main)] == [0, 0]


def test_what_the_program_raises_comes_out_of_run() -> None:
    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main)
