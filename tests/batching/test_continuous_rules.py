"""Whatever comes, leaves, fails and does not read: each member gets its own items and one ending, no place stays empty
while somebody waits, and nothing is left.

The steps are made one by one, on the event loop, so that each can be looked at. `Deck` below does the same with a
thread, which nobody can stop between two steps.
"""

import asyncio
import contextlib
import gc
import logging
import random
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from figures import FULL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from headrace.batching.continuous import continuous_batch
from headrace.batching.slots import Slots
from headrace.errors import StreamError

COST = 10


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """A log record keeps its traceback, and with that all that must be gone."""
    logger = logging.getLogger("headrace.batching")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


class Spoiled(StreamError):
    """This request cannot be answered."""

    code = "spoiled"


@dataclass(eq=False)
class Member:
    """A call, and what is known of it."""

    name: int
    steps: int
    burst: int
    cost: int
    fails: bool = False
    taken: int = 0
    ending: str | None = None
    left: bool = False
    reader: Any = None

    @property
    def waits(self) -> bool:
        """Whether something is still to come."""
        return not self.left and self.ending is None


def play(slots: Slots[Member, tuple[int, int]]) -> None:
    """One step: every slot gets its burst, and ends with its last step."""
    for slot in slots.joined:
        assert slot.state is None
        slot.state = 0
    for slot in slots:
        member = slot.request
        for number in range(member.burst):
            slot.send((member.name, slot.state * member.burst + number))
        slot.state += 1
        if member.fails:
            slot.fail(Spoiled())
        elif slot.state == member.steps:
            slot.finish()


class Wheel:
    """Makes a step for each tick."""

    def __init__(self) -> None:
        self.ticks = asyncio.Semaphore(0)
        self.breaks = False
        self.all: list[Member] = []
        self.played: Counter[Member] = Counter()
        self.steps: list[tuple[list[Member], list[Member]]] = []  # who is in it, and who is left outside

    @continuous_batch(max_batch_size=3, max_batch_cost=COST, cost_fn=lambda member: member.cost, linger_s=0)
    async def turn(self, slots: Slots[Member, tuple[int, int]]) -> AsyncIterator[None]:
        while True:
            inside = [slot.request for slot in slots]
            self.steps.append((inside, [each for each in self.all if self.waits(each) and each not in inside]))
            await self.ticks.acquire()
            self.played.update(inside)
            play(slots)
            if self.breaks:
                self.breaks = False
                self.played.update(dict.fromkeys(inside, 1000))  # it is over for them
                raise Spoiled
            yield

    def waits(self, member: Member) -> bool:
        """Whether it needs another step."""
        return member.waits and self.played[member] < (1 if member.fails else member.steps)


class Rules(RuleBasedStateMachine):
    """Calls come and go, read or not, and the wheel turns."""

    members = Bundle("members")

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.wheel = Wheel()
        self.all = self.wheel.all
        self.died = weakref.ref(self.wheel)
        self.broken = 0

    def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def settled() -> Any:
            result = await work()
            for _ in range(12):
                await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(settled())

    @rule(
        target=members,
        steps=st.integers(1, 6),
        burst=st.sampled_from([1, 1, 100, 300]),
        cost=st.integers(0, COST),
        fails=st.sampled_from([False, False, False, True]),
    )
    def come(self, steps: int, burst: int, cost: int, fails: bool) -> Member:
        member = Member(len(self.all), steps, burst, cost, fails)
        self.all.append(member)

        async def call() -> None:
            member.reader = self.wheel.turn(member)

        self.run(call)
        return member

    @rule(member=members, count=st.sampled_from([1, 2, 50, 300, 2000]))
    def read(self, member: Member, count: int) -> None:
        if not member.waits:
            return

        async def some() -> None:
            for _ in range(count):
                if not await self._take(member):
                    return

        self.run(some)

    async def _take(self, member: Member) -> bool:
        """Takes the next item, if there is one."""
        box = member.reader._mailbox
        if not box.items and not box.ended:
            return False
        try:
            name, number = await anext(member.reader)
        except StopAsyncIteration:
            self._end(member, "end")
        except Spoiled:
            self._end(member, "spoiled")
        else:
            assert (name, number) == (member.name, member.taken)
            member.taken += 1
            return True
        return False

    @staticmethod
    def _end(member: Member, ending: str) -> None:
        assert member.ending is None
        member.ending = ending

    @rule(member=consumes(members), how=st.sampled_from(["close", "forget", "cancel"]))
    def leave(self, member: Member, how: str) -> None:
        if not member.waits:
            return

        async def go() -> None:
            reader, member.reader = member.reader, None
            if how == "close":
                await reader.aclose()
            elif how == "cancel":
                reading = asyncio.ensure_future(_exhaust(reader))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait((reading,))

        member.left = True
        self.run(go)

    @rule(count=st.integers(1, 3))
    def turn(self, count: int) -> None:
        for _ in range(count):

            async def tick() -> None:
                self.wheel.ticks.release()

            self.run(tick)

    @precondition(lambda self: self.broken < 5)
    @rule()
    def break_down(self) -> None:
        if any(member.waits for member in self.all):
            self.broken += 1
            self.wheel.breaks = True
            self.turn(1)

    @invariant()
    def no_place_is_empty_while_somebody_waits(self) -> None:
        for inside, outside in self.wheel.steps:
            assert len(inside) <= 3
            cost = sum(member.cost for member in inside)
            assert cost <= COST
            names = [member.name for member in (*inside, *outside)]
            assert names == sorted(names)  # nobody overtakes
            assert not outside or len(inside) == 3 or outside[0].cost > COST - cost
        self.wheel.steps.clear()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            with contextlib.closing(self.loop):
                self._end_all()

    def _end_all(self) -> None:
        for _ in range(10_000):
            self._finish_reading()
            if not any(member.waits for member in self.all):
                break
            self.turn(1)
        for member in self.all:
            assert member.left or member.ending is not None
            if member.ending == "end":
                assert (member.taken, member.fails) == (member.steps * member.burst, False)
            member.reader = None

        async def nothing() -> None:
            self.wheel.ticks.release()

        self.run(nothing)
        self.run(nothing)
        assert asyncio.all_tasks(self.loop) == set()
        self.all.clear()
        del self.wheel
        gc.collect()
        assert self.died() is None
        assert Wheel.turn._lanes._entries == {}

    def _finish_reading(self) -> None:
        for member in self.all:
            if member.waits:

                async def rest(member: Member = member) -> None:
                    while await self._take(member):
                        pass

                self.run(rest)


async def _exhaust(reader: Any) -> None:
    async for _ in reader:
        pass


TestRules = Rules.TestCase
TestRules.settings = settings(
    max_examples=2000 if FULL else 60,
    report_multiple_bugs=False,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class Deck:
    """The same on a thread."""

    @continuous_batch(max_batch_size=3, max_batch_cost=COST, cost_fn=lambda member: member.cost, linger_s=0)
    def turn(self, slots: Slots[Member, tuple[int, int]]) -> Iterator[None]:
        while True:
            play(slots)
            yield


async def test_on_a_thread_too_every_member_gets_its_own_items_and_one_ending() -> None:
    dice, deck = random.Random(3), Deck()
    laps = 2000 if FULL else 200

    async def call(name: int) -> None:
        member = Member(name, dice.randint(1, 6), dice.choice([1, 1, 100, 300]), dice.randint(0, COST))
        member.fails = dice.random() < 0.2
        leaves_after = dice.choice([None, None, 1, 200])
        reader = deck.turn(member)
        expected = 0
        try:
            async for found in reader:
                assert found == (name, expected)
                expected += 1
                if expected == leaves_after:
                    return
                if dice.random() < 0.02:
                    await asyncio.sleep(0.0001)
            assert (expected, member.fails) == (member.steps * member.burst, False)
        except Spoiled:
            assert (expected, member.fails) == (member.burst, True)

    async with asyncio.timeout(120):
        await asyncio.gather(*(call(name) for name in range(laps)))
