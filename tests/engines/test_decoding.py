import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from decoding import until
from hypothesis import given
from hypothesis import strategies as st
from pools import ByteVocabulary, ListPool, counting, reciting, spell

from headrace.engines.decoding import Decoding, shares
from headrace.engines.events import EngineEvent, Finish, TextDelta, Usage
from headrace.engines.generation import Sampling
from headrace.errors import Overloaded, ShuttingDown, WorkerLost

VERSES = {"rain": "drops", "sun": "rays", "a longer prompt": "é", "x": ""}
ENDLESS = Sampling(max_tokens=None)
Make = Callable[..., tuple[Decoding, ListPool]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes a decoding loop over a pool that follows a function."""
    with contextlib.ExitStack() as opened:

        def make(
            follow: Callable[[Sequence[int]], int] = counting, *, rows: int = 4, **options: Any
        ) -> tuple[Decoding, ListPool]:
            pool = ListPool(follow, rows)
            decoding = Decoding(pool, ByteVocabulary(), **options)
            opened.callback(decoding.close)
            return decoding, pool

        async with asyncio.timeout(20):
            yield make


async def read(decoding: Decoding, prompt: str, sampling: Sampling = ENDLESS) -> list[EngineEvent]:
    return [event async for step in decoding.generate(spell(prompt), sampling) for event in step]


def text(events: Sequence[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def alone(prompt: str, count: int) -> str:
    """What `counting` says."""
    tokens = spell(prompt)
    for _ in range(count):
        tokens.append(counting(tokens))
    return bytes(tokens[-count:]).decode()


# one answer


async def test_the_events_come_step_by_step_and_finish_and_usage_last(make: Make) -> None:
    decoding, _ = make(reciting(VERSES))
    assert [step async for step in decoding.generate(spell("sun"), Sampling())] == [
        [TextDelta("r")],
        [TextDelta("a")],
        [TextDelta("y")],
        [TextDelta("s")],
        [Finish("stop"), Usage(3, 4)],
    ]


async def test_a_step_without_text_gives_no_item(make: Make) -> None:
    decoding, _ = make(reciting(VERSES))
    steps = [step async for step in decoding.generate(spell("a longer prompt"), Sampling())]
    assert steps == [[TextDelta("é")], [Finish("stop"), Usage(15, 2)]]


@pytest.mark.parametrize(("most", "count"), [(1, 1), (5, 5), (60, 60), (61, 60), (1000, 60), (None, 60)])
async def test_the_limit_and_the_context_end_an_answer(make: Make, most: int | None, count: int) -> None:
    decoding, _ = make()
    events = await read(decoding, "four", Sampling(max_tokens=most))
    assert text(events) == alone("four", count)
    assert events[-2:] == [Finish("length"), Usage(4, count)]


async def test_an_answer_of_the_last_position_is_one_token(make: Make) -> None:
    decoding, pool = make()
    assert text(await read(decoding, "x" * 63)) == alone("x" * 63, 1)
    assert pool.calls == [(0, [63])]


@pytest.mark.parametrize("length", [0, 64, 65])
async def test_a_prompt_that_no_answer_can_follow_is_a_mistake_of_the_engine(make: Make, length: int) -> None:
    decoding, pool = make()
    with pytest.raises(ValueError, match=f"a prompt of {length} tokens for a model that reads 64"):
        decoding.generate([1] * length, Sampling())
    assert pool.calls == []


# many answers


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("prefill", [1, 9, 256])
async def test_answers_are_the_same_alone_and_beside_others(make: Make, packed: bool, prefill: int) -> None:
    decoding, _ = make(rows=10, packed=packed, prefill=prefill)
    lengths = {f"prompt {number}" * (number % 3 + 1): 1 + 7 * number % 31 for number in range(24)}
    answers = await asyncio.gather(
        *(read(decoding, prompt, Sampling(max_tokens=lengths[prompt])) for prompt in lengths)
    )
    assert [text(answer) for answer in answers] == [alone(prompt, count) for prompt, count in lengths.items()]
    assert [answer[-1] for answer in answers] == [Usage(len(prompt), count) for prompt, count in lengths.items()]


async def test_a_seed_gives_the_same_answer_whatever_runs_beside_it(make: Make) -> None:
    decoding, _ = make()
    seeded = Sampling(temperature=2.0, seed=3, max_tokens=20)
    first = await read(decoding, "x", seeded)
    others = [Sampling(temperature=2.0, seed=seed, max_tokens=9) for seed in (4, 5)]
    again, *different = await asyncio.gather(*(read(decoding, "x", sampling) for sampling in (seeded, *others)))
    assert again == first
    assert different[0] != different[1]


async def test_newcomers_that_wait_together_are_read_together(make: Make) -> None:
    decoding, pool = make()
    pool.hold()
    readers = [asyncio.create_task(read(decoding, "first", Sampling(max_tokens=3)))]
    await until(lambda: pool.calls)
    readers += [asyncio.create_task(read(decoding, prompt, Sampling(max_tokens=2))) for prompt in ("a", "bcd", "ef")]
    await asyncio.sleep(0)
    pool.turn(10)
    assert [text(answer) for answer in await asyncio.gather(*readers)] == [
        alone("first", 3),
        alone("a", 2),
        alone("bcd", 2),
        alone("ef", 2),
    ]
    assert pool.calls == [(0, [5]), (0, [1]), (1, [1, 3, 2]), (0, [1, 1, 1, 1])]


async def test_a_long_prompt_is_read_in_parts_while_others_keep_their_pace(make: Make) -> None:
    decoding, pool = make(prefill=10)
    pool.hold()
    readers = [asyncio.create_task(read(decoding, "go", Sampling(max_tokens=6)))]
    await until(lambda: pool.calls)
    readers += [asyncio.create_task(read(decoding, prompt, Sampling(max_tokens=2))) for prompt in ("x" * 25, "later")]
    await asyncio.sleep(0)
    pool.turn(3)
    await until(lambda: len(pool.calls) == 4)
    assert decoding.active == 2  # the prompt that is read in parts has its row
    pool.turn(30)
    assert [text(answer) for answer in await asyncio.gather(*readers)] == [
        alone("go", 6),
        alone("x" * 25, 2),
        alone("later", 2),
    ]
    assert pool.calls == [
        *[(0, [2]), (0, [1]), (1, [10])],
        *[(0, [1]), (1, [10])],
        *[(0, [1]), (1, [5, 5])],
        *[(0, [1, 1, 1])],
        *[(0, [1])],
    ]


async def test_where_padding_costs_nothing_all_is_read_in_one_call(make: Make) -> None:
    decoding, pool = make(prefill=10, packed=True)
    pool.hold()
    readers = [asyncio.create_task(read(decoding, "go", Sampling(max_tokens=5)))]
    await until(lambda: pool.calls)
    readers += [asyncio.create_task(read(decoding, prompt, Sampling(max_tokens=2))) for prompt in ("x" * 13, "next")]
    await asyncio.sleep(0)
    pool.turn(30)
    assert [text(answer) for answer in await asyncio.gather(*readers)] == [
        alone("go", 5),
        alone("x" * 13, 2),
        alone("next", 2),
    ]
    assert pool.calls == [(0, [2]), (0, [1, 10]), (0, [1, 3, 4]), (0, [1, 1, 1]), (0, [1])]


async def test_more_answers_than_rows_wait_for_a_row(make: Make) -> None:
    decoding, pool = make(rows=2)
    answers = await asyncio.gather(*(read(decoding, f"{number}", Sampling(max_tokens=3)) for number in range(7)))
    assert [text(answer) for answer in answers] == [alone(f"{number}", 3) for number in range(7)]
    assert max(len(new) for _, new in pool.calls) == 2


# leaving


async def test_closing_an_answer_frees_its_row_at_the_next_step(make: Make) -> None:
    decoding, pool = make()
    pool.hold()
    stays = asyncio.create_task(read(decoding, "stays", Sampling(max_tokens=6)))
    await until(lambda: pool.calls)
    leaving: Any = decoding.generate(spell("leaves"), Sampling())
    pool.turn(3)  # the first token of one, then the second with the first of the other
    await anext(leaving)
    await until(lambda: len(pool.calls) == 4)
    assert (decoding.active, pool.calls[-1]) == (2, (0, [1, 1]))
    await leaving.aclose()
    await asyncio.sleep(0)
    pool.turn(10)
    assert text(await stays) == alone("stays", 6)
    assert pool.calls[4:] == [(0, [1])] * 3
    await until(lambda: decoding.active == 0)


async def test_a_reader_that_is_cancelled_leaves(make: Make) -> None:
    decoding, pool = make()
    pool.hold()
    reading = asyncio.create_task(read(decoding, "x"))
    await until(lambda: pool.calls)
    reading.cancel()
    await asyncio.wait([reading])
    pool.turn(10)
    await until(lambda: decoding.active == 0)
    assert pool.calls == [(0, [1])]


async def test_an_answer_that_leaves_while_its_prompt_is_read_makes_room_for_the_next(make: Make) -> None:
    decoding, pool = make(prefill=4)
    pool.hold()
    leaving: Any = decoding.generate(spell("a long prompt"), Sampling())
    await until(lambda: pool.calls)
    stays = asyncio.create_task(read(decoding, "next", Sampling(max_tokens=2)))
    await leaving.aclose()
    await asyncio.sleep(0)
    pool.turn(10)
    assert text(await stays) == alone("next", 2)
    assert pool.calls == [(0, [4]), (0, [4]), (0, [1])]


async def test_the_last_row_moves_up_also_past_a_prompt_that_is_read_in_parts(make: Make) -> None:
    decoding, pool = make(prefill=4)
    pool.hold()
    limits = {"one": 2, "two": 8, "six": 8, "a long prompt": 3}
    readers = []
    for prompt, most in limits.items():
        readers.append(asyncio.create_task(read(decoding, prompt, Sampling(max_tokens=most))))
        await until(lambda: pool.calls)
    await asyncio.sleep(0)
    pool.turn(40)
    answers = await asyncio.gather(*readers)
    assert [text(answer) for answer in answers] == [alone(prompt, count) for prompt, count in limits.items()]


# the end


async def test_closing_ends_the_answers_under_way_and_those_that_wait(make: Make) -> None:
    decoding, pool = make(rows=2)
    pool.hold()
    readers = [asyncio.create_task(read(decoding, f"{number}")) for number in range(5)]
    await until(lambda: pool.calls)
    decoding.close()
    pool.turn(10)
    endings = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(ending) for ending in endings] == [ShuttingDown] * 5
    assert (decoding.active, decoding.healthy) == (0, False)
    assert len(pool.calls) == 1


async def test_after_closing_nothing_is_answered(make: Make) -> None:
    decoding, pool = make()
    assert decoding.healthy
    decoding.close()
    with pytest.raises(ShuttingDown):
        decoding.generate([1], Sampling())
    assert pool.calls == []


async def test_a_model_that_fails_fails_the_answers_under_way_and_starts_afresh(make: Make) -> None:
    def fails_on_b(tokens: Sequence[int]) -> int:
        if tokens[0] == ord("b"):
            raise ArithmeticError("the model is broken")
        return counting(tokens)

    decoding, _ = make(fails_on_b)
    with pytest.raises(WorkerLost):
        await read(decoding, "bad")
    assert decoding.healthy
    assert text(await read(decoding, "good", Sampling(max_tokens=3))) == alone("good", 3)


async def test_a_model_that_fails_over_and_over_is_not_healthy(make: Make) -> None:
    def fails(_: Sequence[int]) -> int:
        raise ArithmeticError("the model is broken")

    decoding, _ = make(fails)
    for _ in range(6):
        with pytest.raises(WorkerLost):
            await read(decoding, "x")
    assert not decoding.healthy
    with pytest.raises(Overloaded):
        await read(decoding, "x")


# how much of the prompts is read


@pytest.mark.parametrize(
    ("unread", "read"),
    [
        pytest.param([], [], id="nobody waits"),
        pytest.param([7], [7], id="one"),
        pytest.param([10], [10], id="just so much"),
        pytest.param([11], [10], id="a long one in parts"),
        pytest.param([1000, 1], [10], id="a short one behind a long one waits"),
        pytest.param([2, 3, 1], [2, 3, 1], id="all together"),
        pytest.param([2, 3, 4], [2, 3], id="padded to the longest they are too many"),
        pytest.param([1, 11], [1], id="a long one behind a short one waits"),
        pytest.param([5, 5, 1], [5, 5], id="in their order"),
    ],
)
def test_the_first_prompts_are_read_that_fit_together(unread: list[int], read: list[int]) -> None:
    assert shares(unread, 10) == read


@given(st.lists(st.integers(1, 40), min_size=1), st.integers(1, 50))
def test_prompts_go_on_and_never_pass_the_bound(unread: list[int], most: int) -> None:
    parts = shares(unread, most)
    assert 0 < len(parts) * max(parts) <= most
    assert parts == unread[: len(parts)] or parts == [most]
