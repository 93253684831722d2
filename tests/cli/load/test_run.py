"""Load: when requests are due, how many run at a time, and what stands in the tally when a run ends early."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator

import pytest
from upstream import HELLO, STALL, Gate, Script, Status, Upstream, upstream
from upstream import Request as Asked

from headrace.cli.load.request import address_of, ask_model
from headrace.cli.load.run import Load, Plan, arrivals
from headrace.cli.load.tally import Tally
from headrace.errors import ConnectionFailed


@pytest.fixture
async def server() -> AsyncIterator[Upstream]:
    async with asyncio.timeout(10), upstream(HELLO) as server:
        yield server


async def ran(server: Upstream, plan: Plan, tally: Tally | None = None) -> Tally:
    tally = tally or Tally()
    load = Load(ask_model(address_of(server.url), {"model": "tiny"}, None))
    try:
        await load.run(plan, tally)
    finally:
        load.close()
    return tally


def test_without_a_rate_all_are_due_at_once() -> None:
    assert list(arrivals(Plan(3, 1, 1.0))) == [0.0, 0.0, 0.0]


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    due = list(arrivals(Plan(5, 1, 1.0, rate=2.0, seed=7)))
    assert due == list(arrivals(Plan(5, 1, 1.0, rate=2.0, seed=7)))
    assert due != list(arrivals(Plan(5, 1, 1.0, rate=2.0, seed=8)))
    assert (len(due), due[0], due) == (5, 0.0, sorted(due))


def test_arrivals_have_the_rate_on_average_and_the_spread_of_a_poisson_process() -> None:
    due = list(arrivals(Plan(10_001, 1, 1.0, rate=4.0)))
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert due[-1] == pytest.approx(2500, rel=0.05)
    assert sum(gap > 0.25 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-1), abs=0.02)


async def test_every_request_is_answered_and_counted(server: Upstream) -> None:
    tally = await ran(server, Plan(20, 4, 10.0))
    assert (tally.completed, tally.failed, tally.unfinished, tally.late) == (20, 0, 0, 0)
    assert (tally.output_tokens, tally.input_tokens, tally.counted) == (80, 60, 20)
    assert (tally.ttft.count, tally.tpot.count, tally.itl.count, tally.e2el.count) == (20, 20, 40, 20)
    assert tally.seconds > 0
    assert tally.cpu_seconds > 0
    assert (len(server.requests), server.connections) == (20, 4)


async def test_no_more_run_at_a_time_than_may(server: Upstream) -> None:
    gate = Gate()
    server.answer = lambda _: [gate, *HELLO]
    running = asyncio.create_task(ran(server, Plan(9, 3, 10.0)))
    await server.request(2)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(server.requests) == 3
    gate.opened.set()
    assert (await running).completed == 9


async def test_requests_that_are_due_while_all_are_busy_are_late(server: Upstream) -> None:
    gate = Gate()
    server.answer = lambda _: [gate, *HELLO]
    tally = Tally()
    running = asyncio.create_task(ran(server, Plan(4, 2, 10.0, rate=1e6), tally))
    await server.request(1)
    while not tally.late:
        await asyncio.sleep(0)
    gate.opened.set()
    await running
    assert 1 <= tally.late <= 2
    assert tally.completed == 4


async def test_failures_are_counted_by_kind_and_apart(server: Upstream) -> None:
    scripts: list[Script] = [
        HELLO,
        [Status(503, {"error": {"message": "busy"}})],
        HELLO[:2],
        [HELLO[0], {"error": "no"}],
    ]
    server.answer = lambda _: scripts[(len(server.requests) - 1) % 4]
    tally = await ran(server, Plan(8, 1, 10.0))
    assert tally.completed == 2
    assert tally.failures == {"status 503": 2, "truncated": 2, "error server_error": 2}
    assert (tally.ttft.count, tally.e2el.count, tally.output_tokens) == (2, 2, 8)


async def test_the_end_of_the_time_breaks_off_what_runs(server: Upstream) -> None:
    def answer(_: Asked) -> Script:
        return HELLO if len(server.requests) == 1 else [*HELLO[:2], STALL]

    server.answer = answer
    tally = await ran(server, Plan(10, 2, 0.3))
    assert (tally.completed, tally.failed, tally.unfinished) == (1, 0, 2)
    assert 0.3 <= tally.seconds < 2
    await server.requests[1].left(5.0)
    await server.requests[2].left(5.0)


async def test_who_interrupts_a_run_keeps_what_was_measured(server: Upstream) -> None:
    server.answer = lambda _: HELLO if len(server.requests) < 3 else [STALL]
    tally = Tally()
    running = asyncio.create_task(ran(server, Plan(10, 1, 10.0), tally))
    await server.request(2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (tally.completed, tally.unfinished) == (2, 1)
    assert tally.seconds > 0


async def test_a_server_that_is_not_there_is_told_before_anything_is_sent() -> None:
    tally = Tally()
    load = Load(ask_model(address_of("http://127.0.0.1:1"), {}, None))
    with pytest.raises(ConnectionFailed):
        await load.run(Plan(3, 1, 10.0), tally)
    assert (tally.completed, tally.failed) == (0, 0)


async def test_a_server_that_goes_away_is_counted() -> None:
    tally = Tally()
    async with asyncio.timeout(10), upstream(HELLO) as server:
        load = Load(ask_model(address_of(server.url), {}, None))
        await load.run(Plan(1, 1, 10.0), tally)
        kept = await load._connections.take()
    while kept.usable:
        await asyncio.sleep(0)
    load._connections._idle.append(kept)
    await load._ask(tally)
    assert (tally.completed, dict(tally.failures)) == (1, {"not connected": 1})
