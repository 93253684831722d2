"""When a batch is formed and who is in it, on a clock that jumps."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from headrace.batching.dynamic import batch
from headrace.batching.surroundings import Surroundings, surrounded
from headrace.errors import Overloaded
from headrace.metrics import Metrics
from headrace.testing.clock import run


class Recorded:
    """A batched function of so many seconds, and when it was called with what."""

    def __init__(self, seconds: float, **options: Any) -> None:
        self.batches: list[tuple[float, list[Any]]] = []
        self.running = self.peak = 0

        async def work(values: list[Any]) -> list[Any]:
            self.batches.append((round(asyncio.get_running_loop().time(), 6), values))
            self.running += 1
            self.peak = max(self.peak, self.running)
            await asyncio.sleep(seconds)  # on a clock that jumps
            self.running -= 1
            return values

        self.call: Any = batch(**options)(work)

    def after(self, seconds: float, value: Any) -> asyncio.Task[Any]:
        """A call at this time."""

        async def call() -> Any:
            await asyncio.sleep(seconds)
            return await self.call(value)

        return asyncio.create_task(call())


def test_under_load_a_batch_is_formed_when_it_can_run() -> None:
    async def main() -> None:
        recorded = Recorded(0.3, max_batch_size=16)
        answers = await asyncio.gather(*(recorded.after(0.02 * n, n) for n in range(16)))
        assert answers == list(range(16))
        assert recorded.batches == [(0.01, [0]), (0.31, list(range(1, 16)))]
        assert asyncio.get_running_loop().time() == pytest.approx(0.61)

    run(main)


def test_a_lone_call_starts_after_the_timeout_and_not_later() -> None:
    async def main() -> None:
        recorded = Recorded(1, batch_wait_timeout_s=15)
        await recorded.after(3, "a")
        assert recorded.batches == [(18.0, ["a"])]

    run(main)


def test_a_full_batch_starts_at_once() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=2, batch_wait_timeout_s=15)
        await asyncio.gather(recorded.after(1, "a"), recorded.after(2, "b"))
        assert recorded.batches == [(2.0, ["a", "b"])]

    run(main)


def test_the_wait_is_counted_from_the_oldest_call_also_while_others_run() -> None:
    async def main() -> None:
        recorded = Recorded(10, batch_wait_timeout_s=4)
        await asyncio.gather(recorded.after(0, "a"), recorded.after(5, "b"), recorded.after(13, "c"))
        assert recorded.batches == [(4.0, ["a"]), (14.0, ["b", "c"])]

    run(main)


def test_with_a_timeout_of_zero_calls_of_one_moment_still_share_a_batch() -> None:
    async def main() -> None:
        recorded = Recorded(1, batch_wait_timeout_s=0)
        await asyncio.gather(*(recorded.after(0, n) for n in range(3)), recorded.after(2, 3))
        assert recorded.batches == [(0.0, [0, 1, 2]), (2.0, [3])]

    run(main)


def test_a_size_of_one_runs_each_call_alone_in_their_order() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=1)
        await asyncio.gather(*map(recorded.call, "abc"))
        assert recorded.batches == [(0.0, ["a"]), (1.0, ["b"]), (2.0, ["c"])]

    run(main)


@pytest.mark.parametrize(("most", "seconds"), [(1, 4.0), (2, 2.0), (4, 1.0)])
def test_so_many_batches_run_at_a_time(most: int, seconds: float) -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=2, max_concurrent_batches=most)
        await asyncio.gather(*(recorded.call(n) for n in range(8)))
        assert recorded.peak == most
        assert asyncio.get_running_loop().time() == pytest.approx(seconds)

    run(main)


def test_calls_that_come_back_with_their_answers_find_a_full_batch() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=4, batch_wait_timeout_s=60)

        async def client(name: str) -> None:
            for _ in range(3):
                await recorded.call(name)

        await asyncio.gather(*map(client, "abcd"))
        assert recorded.batches == [(0.0, [*"abcd"]), (1.0, [*"abcd"]), (2.0, [*"abcd"])]

    run(main)


# leaving while waiting


def test_a_call_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=2)
        first = recorded.after(0, "first")
        waiting = [recorded.after(0.5, n) for n in range(4)]
        await asyncio.sleep(0.6)
        waiting[0].cancel()
        waiting[2].cancel()
        await asyncio.wait([first, *waiting])
        assert recorded.batches == [(0.01, ["first"]), (1.01, [1, 3])]

    run(main)


@pytest.mark.parametrize("how", ["cancelled", "closed", "dropped"])
def test_when_all_have_left_the_function_is_not_called(how: str) -> None:
    async def main() -> None:
        called: list[Any] = []

        @batch
        async def stream(values: list[int]) -> Any:
            called.append(values)
            yield values

        calls: Any = [stream(1), stream(2)]
        if how == "cancelled":
            tasks = [asyncio.ensure_future(anext(each)) for each in calls]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        elif how == "closed":
            for each in calls:
                await each.aclose()
        else:
            calls.clear()
            each = None
        await asyncio.sleep(1)
        assert called == []

    run(main)


def test_one_that_leaves_in_the_moment_its_batch_starts_is_not_in_it() -> None:
    async def main() -> None:
        seen: list[Any] = []

        @batch(max_batch_size=2)
        async def stream(values: list[str]) -> Any:
            seen.append(values)
            yield values

        leaving: Any = stream("leaving")
        await leaving.aclose()
        calls = [stream("a"), stream("b")]  # in the same pass: the batch was full with the first of them
        await asyncio.gather(*map(anext, calls))
        assert seen == [["a", "b"]]

    run(main)


# measures


def test_calls_are_measured_together_and_keep_their_order() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=10, batch_size_fn=lambda texts: sum(map(len, texts)))
        await asyncio.gather(*map(recorded.call, ["aaaa", "bbbbbbb", "c", "dd", "eeeeee"]))
        assert recorded.batches == [(0.0, ["aaaa"]), (1.0, ["bbbbbbb", "c", "dd"]), (2.0, ["eeeeee"])]

    run(main)


def test_a_measure_sees_the_values_of_the_first_parameter() -> None:
    async def main() -> None:
        @batch(max_batch_size=10, batch_size_fn=lambda texts: sum(map(len, texts)))
        async def pair(texts: list[str], numbers: list[int]) -> list[Any]:
            return list(zip(texts, numbers, strict=True))

        assert await pair("abc", 7) == ("abc", 7)

    run(main)


def test_a_call_that_is_too_large_for_any_batch_fails_alone() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=3, batch_size_fn=lambda texts: sum(map(len, texts)))
        results = await asyncio.gather(*map(recorded.call, ["a", "bbbb", "c"]), return_exceptions=True)
        assert str(results.pop(1)) == (
            "a call of Recorded.__init__.work has the size 4, and a batch holds max_batch_size=3:"
            " send less, or raise max_batch_size"
        ).replace("Recorded.__init__.", "")
        assert results == ["a", "c"]

    run(main)


def test_a_call_that_became_too_large_while_it_waited_fails_and_the_others_run() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=4, batch_size_fn=lambda texts: sum(map(len, texts)))
        calls = [recorded.after(0.1 * n, text) for n, text in enumerate(["a", "bbb", "dddd", "e"])]
        await asyncio.sleep(0.5)
        recorded.call.set_max_batch_size(3)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [results[0], results[1], results[3]] == ["a", "bbb", "e"]
        assert isinstance(results[2], ValueError)
        assert recorded.batches == [(0.01, ["a"]), (1.01, ["bbb"]), (2.01, ["e"])]

    run(main)


def raising(texts: list[str]) -> float:
    if "bad" in texts:
        raise KeyError("bad")
    return len(texts)


def raising_together(texts: list[str]) -> float:
    if len(texts) > 1 and "bad" in texts:
        raise KeyError("bad")
    return len(texts)


@pytest.mark.parametrize("measure", [raising, raising_together])
def test_a_measure_that_raises_fails_that_call_alone(measure: Callable[[list[str]], float]) -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=9, batch_size_fn=measure)
        results = await asyncio.gather(*map(recorded.call, ["a", "bad", "c"]), return_exceptions=True)
        assert isinstance(results.pop(1), KeyError)
        assert results == ["a", "c"]
        assert await recorded.call("d") == "d"

    run(main)


@pytest.mark.parametrize("size", ["7", None, float("nan")])
def test_a_measure_that_gives_no_number_is_told(size: Any) -> None:
    async def main() -> None:
        recorded = Recorded(1, batch_size_fn=lambda texts: size)
        with pytest.raises(TypeError, match=r"^batch_size_fn of work gave .*; a size is a number, as len gives it$"):
            await recorded.call("a")

    run(main)


# settings and bounds


def test_settings_hold_from_the_next_batch_that_begins_to_form() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=2, batch_wait_timeout_s=0)
        calls = [recorded.after(0.1 * n, n) for n in range(5)]
        await asyncio.sleep(0.5)
        recorded.call.set_max_batch_size(3)
        await asyncio.gather(*calls)
        assert recorded.batches == [(0.0, [0]), (1.0, [1, 2]), (2.0, [3, 4])]
        recorded.call.set_batch_wait_timeout_s(5)
        await recorded.call(5)
        assert recorded.batches[-1] == (8.0, [5])

    run(main)


def test_more_calls_than_may_wait_are_refused() -> None:
    async def main() -> None:
        recorded = Recorded(1, max_batch_size=1, max_waiting=2)
        results = await asyncio.gather(*(recorded.call(n) for n in range(5)), return_exceptions=True)
        assert results[:3] == [0, 1, 2]
        assert [type(each) for each in results[3:]] == [Overloaded, Overloaded]
        assert str(results[3]) == "2 calls of work wait already; try again later"
        assert await recorded.call(9) == 9

    run(main)


# what it leaves behind


def test_at_rest_neither_the_loop_nor_the_instance_is_kept() -> None:
    class Poet:
        @batch
        async def write(self, words: list[str]) -> list[str]:
            return words

    async def main() -> weakref.ref[Any]:
        poet = Poet()
        assert await poet.write("a") == "a"
        return weakref.ref(poet)

    instance = run(main)
    with asyncio.Runner() as runner:
        loop = weakref.ref(runner.get_loop())
        runner.run(main())
    del runner
    gc.collect()
    assert instance() is None
    assert loop() is None


def test_values_and_answers_are_not_kept() -> None:
    class Value:
        pass

    @batch
    async def same(values: list[Value]) -> list[Value]:
        return values

    async def main() -> None:
        value = Value()
        known = weakref.ref(value)
        assert await same(value) is value
        del value
        await asyncio.sleep(1)
        gc.collect()
        assert known() is None

    run(main)


# what is measured


def test_batches_are_measured_where_a_service_calls() -> None:
    metrics = Metrics()

    async def main() -> None:
        recorded = Recorded(2, max_batch_size=4)
        with surrounded(Surroundings(asyncio.get_running_loop(), metrics, lambda: None)):
            calls = [recorded.after(0.5 * n, n) for n in range(3)]
        await asyncio.sleep(1.25)
        assert 'headrace_batch_waiting{function="work"} 2.0' in metrics.exposition().decode()
        await asyncio.gather(*calls)
        await asyncio.sleep(1)

    run(main)
    text = metrics.exposition().decode()
    for line in (
        'headrace_batch_waiting{function="work"} 0.0',
        'headrace_batch_size_count{function="work"} 2.0',
        'headrace_batch_size_sum{function="work"} 3.0',
        'headrace_batch_utilisation_sum{function="work"} 0.75',
        'headrace_batch_wait_seconds_count{function="work"} 3.0',
        'headrace_batch_seconds_sum{function="work"} 4.0',
    ):
        assert line in text
    assert 'headrace_batch_wait_seconds_sum{function="work"} 2.5' in text  # 0.01, 1.51 and 1.01


def test_a_call_that_leaves_while_it_waits_does_not_wait_any_more() -> None:
    metrics = Metrics()

    async def main() -> None:
        recorded = Recorded(2, batch_wait_timeout_s=9)
        with surrounded(Surroundings(asyncio.get_running_loop(), metrics, lambda: None)):
            call = recorded.after(0, 1)
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])

    run(main)
    assert 'headrace_batch_waiting{function="work"} 0.0' in metrics.exposition().decode()
