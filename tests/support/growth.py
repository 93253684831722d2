"""Whether work grows in a straight line: counted, and not timed.

Code under `src/headrace` is run for three amounts of the same work. What the first two cost says, along a straight
line, what the third one may cost, and `MARGIN` times that is allowed; what grows quadratically costs about four times
it. Counted are

* steps: lines of Python that were run, each round of a loop, a comprehension and a generator expression included;
* passed: members of containers, and bytes, that C code went through on a line: a search, a sum, a copy;
* memory: bytes that were asked for, also those that were given back at once: copies of lists and of buffers are here;
* scheduled: callbacks and timers of the event loop.

The most memory at a time, `peak`, is for single tests to look at.

The loop's clock is counted, too: each pass takes `PASS`, and where nothing is ready the next timer has come. So a test
counts the same however busy the machine is, but where threads are in it: those keep to real time.
"""

import ast
import asyncio
import gc
import selectors
import sys
import threading
import time
import tracemalloc
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import headrace

SOURCE = Path(headrace.__file__).parent
MARGIN, MARGIN_OF_THREADS = 1.3, 2.0
PASS = 0.000_05  # seconds of the loop's clock
PATIENCE = 10.0  # real seconds that a loop waits for a thread

THROUGH = {
    *["sum", "max", "min", "any", "all", "sorted", "list", "tuple", "set", "dict", "bytes", "bytearray", "frozenset"],
    *["copy", "reverse", "insert", "remove", "find", "rfind", "index", "rindex", "count", "search", "finditer"],
    *["findall", "split", "splitlines", "partition", "sub", "replace", "translate"],
}
"""Functions and methods that go through their operands and what they belong to, or move it."""

SEARCHED = (bytes, bytearray, str, memoryview, list, tuple, deque)
SIZED = (*SEARCHED, dict, set)

Count = Counter[str]


@dataclass
class Work:
    """What was counted, by place: `wire/lines.py:37`."""

    steps: Count = field(default_factory=Counter)
    passed: Count = field(default_factory=Counter)
    memory: Count = field(default_factory=Counter)
    scheduled: Count = field(default_factory=Counter)
    peak: int = 0


class Meter(ABC):
    """Counts what code below a folder, or in a file, does on any thread."""

    def __init__(self, work: Work, source: Path) -> None:
        self.work = work
        self._source = str(source)
        self._known: dict[int, tuple[CodeType, Any]] = {}  # by id, and kept so that it stays the code's

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts inside the block. Without the collector of cycles, which comes when it likes."""
        gc.disable()
        before, before_in_threads = sys.gettrace(), threading.gettrace()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before_in_threads)
            gc.enable()

    @abstractmethod
    def tracer(self, code: CodeType, places: Mapping[int, str]) -> Any:
        """What is called when this code of ours begins or goes on; and for each line, if it gives itself."""

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if (known := self._known.get(id(code))) is None:
            ours = code.co_filename.startswith(self._source)
            known = self._known[id(code)] = code, self.tracer(code, _places(code, self._source)) if ours else None
        return None if known[1] is None else known[1](frame, "line", argument)


class Steps(Meter):
    """Counts `steps` and `passed`."""

    def tracer(self, code: CodeType, places: Mapping[int, str]) -> Any:
        operands = _operands(code.co_filename)
        steps, passed = self.work.steps, self.work.passed

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                number = frame.f_lineno
                place = places[number]
                steps[place] += 1
                if number in operands:
                    names = frame.f_locals
                    passed[place] += sum([operand.size(names) for operand in operands[number]])
            return line

        return line


class Memory(Meter):
    """Counts `memory` and `peak`: from one call of ours to the next one, memory goes up and down again once."""

    def __init__(self, work: Work, source: Path) -> None:
        super().__init__(work, source)
        self._place = "elsewhere"  # where code of ours was last
        self._held = 0  # bytes, at that time

    @contextmanager
    def running(self) -> Iterator[None]:
        tracemalloc.start()
        try:
            with super().running():
                yield
            self._weigh("elsewhere")
        finally:
            tracemalloc.stop()

    def tracer(self, code: CodeType, places: Mapping[int, str]) -> Any:
        place = places[code.co_firstlineno]
        return lambda *_: self._weigh(place)

    def _weigh(self, place: str) -> None:
        held, peak = tracemalloc.get_traced_memory()
        self.work.memory[self._place] += peak - self._held
        self.work.peak = max(peak, self.work.peak)
        self._place, self._held = place, held
        tracemalloc.reset_peak()


@dataclass(frozen=True)
class Operand:
    """What is gone through on a line. `whole`: it is, also where it is a hash table, which answers `in` at once."""

    path: tuple[str, ...]  # `self._lines` is ("self", "_lines")
    whole: bool

    def size(self, names: Mapping[str, Any]) -> int:
        value = names.get(self.path[0])
        for name in self.path[1:]:
            if isinstance(getattr(type(value), name, None), property):
                return 0
            value = getattr(value, name, None)
        return len(value) if isinstance(value, SIZED if self.whole else SEARCHED) else 0


@cache
def _places(code: CodeType, source: str) -> dict[int, str]:
    """The names of the lines of this code."""
    name = code.co_filename.removeprefix(source).lstrip("/") or "here"
    return {line: f"{name}:{line}" for _, _, line in code.co_lines() if line is not None}


@cache
def _operands(file: str) -> dict[int, list[Operand]]:
    """By line."""
    found: defaultdict[int, list[Operand]] = defaultdict(list)
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        parts: list[ast.AST] = []
        match node:
            case ast.Call(func, args) if _named(func) in THROUGH:
                owner = [func.value] if isinstance(func, ast.Attribute) else []
                parts = [part for each in (*args, *owner) for part in _whole(each)]
            case ast.Compare(_, [ast.In() | ast.NotIn(), *_], comparators):
                parts = [part for each in comparators for part in _whole(each)]
            case ast.Starred(value):
                parts = [value]
            case ast.BinOp(left, ast.Add(), right):
                parts = [left, right]
        if paths := [path for part in parts if (path := _path(part))]:
            assert isinstance(node, ast.expr)
            found[node.lineno] += [Operand(path, not isinstance(node, ast.Compare)) for path in paths]
    return found


def _whole(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression, without those that are taken from the front alone."""
    if isinstance(node, ast.Call) and _named(node.func) == "islice":
        return
    yield node
    for each in ast.iter_child_nodes(node):
        yield from _whole(each)


def _named(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _path(node: ast.AST) -> tuple[str, ...]:
    """The names of a name, or of an attribute of one; nothing for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (path := _path(node.value)):
        return (*path, node.attr)
    return ()


# -- the loop


class Pace(selectors.DefaultSelector):
    """Waits in no time, and says how late it is; or waits in real time."""

    def __init__(self, real: bool) -> None:
        super().__init__()
        self.now = time.monotonic() if real else 0.0
        self._real = real

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._real:
            events = super().select(PATIENCE if timeout is None else timeout)
            self.now = time.monotonic()
        else:
            events = super().select(0)
            self.now += PASS + (0.0 if events else timeout or 0.0)
        assert events or timeout is not None, "the loop waits for something that nobody does"
        return events


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is scheduled on it."""

    def __init__(self, real: bool = False) -> None:
        self._pace = Pace(real)
        self.scheduled: Count = Counter()
        super().__init__(self._pace)

    def time(self) -> float:
        return self._pace.now

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        self.scheduled["callbacks"] += 1
        return super().call_soon(*args, **options)

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        self.scheduled["callbacks of threads"] += 1
        return super().call_soon_threadsafe(*args, **options)

    def call_at(self, *args: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.scheduled["timers"] += 1
        return super().call_at(*args, **options)


# -- the rule


Counting = Callable[[], AbstractContextManager[None]]
Doing = Callable[[int, Counting], Coroutine[Any, Any, None]]
Counted = list[tuple[int, Work]]


def counts(doing: Doing, amounts: tuple[int, ...], *, threads: bool, source: Path) -> Counted:
    """The work of each amount, after a first one that is not counted, so that all find everything imported."""
    with asyncio.Runner(loop_factory=lambda: CountingLoop(threads)) as runner:
        runner.run(doing(amounts[0], nullcontext))
    counted: Counted = []
    for amount in amounts:
        work = Work()
        for meter in (Steps(work, source), Memory(work, source)):
            loop = CountingLoop(threads)
            with asyncio.Runner(loop_factory=lambda loop=loop: loop) as runner:  # type: ignore[misc]
                runner.run(doing(amount, meter.running))
        work.scheduled += loop.scheduled
        counted.append((amount, work))
    return counted


def complaints(counted: Counted, *, threads: bool = False) -> list[str]:
    """What grew more than in a straight line, and where most of it.

    A thread hands over what it has made as often as it happens to; so its margin is wider, and nothing is said of
    memory and of what is scheduled.
    """
    margin, measures = MARGIN, ["steps", "passed", "memory", "scheduled"]
    if threads:
        margin, measures = MARGIN_OF_THREADS, measures[:2]
    (few, least), (more, middle), (many, most) = counted
    far = (many - more) / (more - few)
    found = []
    for measure in measures:
        first, second, third = (getattr(work, measure) for work in (least, middle, most))

        def line(places: list[str], first: Count = first, second: Count = second) -> float:
            one, two = (sum(count[place] for place in places) for count in (first, second))
            return two + max(0, two - one) * far

        expected, total = line(list({**first, **second})), third.total()
        if total > margin * expected:
            excess = Counter({place: third[place] - int(line([place])) for place in third})
            worst = ", ".join(f"{place} ({third[place]:,})" for place, _ in excess.most_common(5))
            totals = f"{first.total():,} for {few:,}, {second.total():,} for {more:,} and {total:,} for {many:,}"
            found.append(f"{measure}: {totals}: {total / expected:.2f} times a straight line. Most at {worst}")
    return found


def flat(
    doing: Doing, amounts: tuple[int, int, int], *, threads: bool = False, source: Path = SOURCE
) -> tuple[Work, Work, Work]:
    """Fails where what is done does not grow in a straight line; the work of each amount.

    Args:
        doing: called with an amount, and with what counts: `with counting(): ...`.
        amounts: each of them about four times the one before.
        threads: some of it is done on threads.
        source: whose work counts.
    """
    counted = counts(doing, amounts, threads=threads, source=source)
    if found := complaints(counted, threads=threads):
        pytest.fail("\n".join(found), pytrace=False)
    (_, first), (_, second), (_, third) = counted
    return first, second, third
