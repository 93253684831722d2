"""`@batch`: calls that come at about the same time run together, in one call of a function over lists.

    @batch(max_batch_size=8)
    async def classify(self, texts: list[str]) -> list[str]: ...            label = await self.classify("a text")

    @batch
    async def generate(self, prompts: list[str]) -> AsyncIterator[list[str]]: ...
                                                        async for piece in self.generate("a prompt"): ...

Each caller passes one value per parameter and gets what is his. Instances have batches of their own, and so do event
loops. A batch starts when it may run and is full or its oldest call has waited for long enough.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, Final, Generic, Literal, TypeVar, cast, overload

from headrace.batching.arguments import Parameters
from headrace.batching.instances import Instances
from headrace.batching.members import AnswerMember, StreamMember
from headrace.batching.policy import Policy
from headrace.batching.queue import Queue
from headrace.batching.reader import BlockingReader, wait_for
from headrace.batching.reading import StreamReader, belong
from headrace.batching.run import DONE, Done, Work
from headrace.batching.settings import count_of, function_of, seconds_of
from headrace.batching.steps import kind_of
from headrace.batching.surroundings import SURROUNDINGS, Caller, Surroundings

T = TypeVar("T")
M = TypeVar("M", AnswerMember, StreamMember)
R_co = TypeVar("R_co", covariant=True)

MAX_WAITING = 10_000
"""Calls that may wait for a batch, unless the decorator says otherwise."""


class Batched(Generic[R_co]):
    """A function with `@batch`: called with single values, it runs with lists. A method is one per instance.

    On an event loop a call gives an awaitable or an async iterator. On another thread, in an endpoint that is not
    async, it gives the answer itself or an iterator. A call waits from the moment it is made, one that has a single
    answer from the moment it is awaited.

    Args:
        work: the function and what does not change.
        policy: what holds for the next batch.
    """

    def __init__(self, work: Work, policy: Policy) -> None:
        update_wrapper(cast(Any, self), work.function)
        del self.__wrapped__  # type: ignore[attr-defined]  # its signature is another one
        self._work = work
        self._policy = policy
        self._is_method = False
        self._numbers = itertools.count(1)
        self._queues: Instances[Queue] = Instances(self._new_queue)

    def __set_name__(self, owner: type, name: str) -> None:
        self._is_method = True
        self._work = self._work.of_method()

    def __get__(self, instance: object | None, owner: type | None = None) -> Batched[R_co]:
        if instance is None:
            return self
        return cast(Batched[R_co], MethodType(self, instance))  # which has all the attributes of this one

    def __repr__(self) -> str:
        return f"<batched {self._work.name}>"

    @property
    def max_batch_size(self) -> int:
        """See `batch`."""
        return self._policy.max_batch_size

    @property
    def batch_wait_timeout_s(self) -> float:
        """See `batch`."""
        return self._policy.batch_wait_timeout_s

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Changes it, for all instances and for batches that begin to form from now on. Raises as `batch`."""
        size = count_of("max_batch_size", max_batch_size)
        self._policy = Policy(size, self._policy.batch_wait_timeout_s)

    def set_batch_wait_timeout_s(self, batch_wait_timeout_s: float) -> None:
        """Changes it, for all instances and for batches that begin to form from now on. Raises as `batch`."""
        timeout = seconds_of("batch_wait_timeout_s", batch_wait_timeout_s)
        self._policy = Policy(self._policy.max_batch_size, timeout)

    def __call__(self, *args: Any, **kwargs: Any) -> R_co:
        """One call, with one value per parameter.

        Raises:
            TypeError: the arguments do not fit.
            Overloaded: too many calls wait already. Where the call has a single answer, that raises it, as the others.
            ValueError: this one is too large for a batch.
            RuntimeError: there is no event loop to run it.
        """
        bound: tuple[Any, ...] = ()
        if self._is_method:
            bound, args = args[:1], args[1:]
        call = _Call(bound, self._work.parameters.values(args, kwargs), SURROUNDINGS.get())
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return cast(R_co, self._call_from_thread(call))
        return cast(R_co, self._stream(call, loop) if self._work.kind.streams else self._answer(call))

    def _stream(self, call: _Call, loop: asyncio.AbstractEventLoop, *, on_thread: bool = False) -> StreamReader[Any]:
        member, caller = self._submit(StreamMember, call, loop)
        return StreamReader(member, self._work.name, caller.children if on_thread and caller else None)

    async def _answer(self, call: _Call, *, on_thread: bool = False) -> Any:
        member, caller = self._submit(AnswerMember, call, asyncio.get_running_loop())  # it may be run on another one
        belong(member, caller.children if on_thread and caller else None)
        try:
            return await member.answer
        finally:
            member.leave()

    def _submit(self, kind: type[M], call: _Call, loop: asyncio.AbstractEventLoop) -> tuple[M, Caller | None]:
        caller = call.surroundings.caller() if call.surroundings else None
        member = kind(caller.request_id if caller else str(next(self._numbers)), call.values, loop)
        self._queues.queue(call.instance, loop).submit(member, call.bound, call.surroundings)
        return member, caller

    def _call_from_thread(self, call: _Call) -> Any:
        """A call where no event loop runs: one that runs on another thread serves it, and this thread waits."""
        streams = self._work.kind.streams
        try:
            loop = call.surroundings.loop if call.surroundings else self._queues.loop(call.instance)
        except RuntimeError:
            loop = None
        if loop is None or not loop.is_running():
            if streams:
                raise RuntimeError(f"no event loop runs that {self._work.name} was used on; call it in a coroutine")
            return self._answer(call)  # for `asyncio.run`
        if not streams:
            return wait_for(self._answer(call, on_thread=True), loop)

        async def begin() -> StreamReader[Any]:
            return self._stream(call, loop, on_thread=True)

        return BlockingReader(wait_for(begin(), loop), loop)

    def _new_queue(self) -> Queue:
        return Queue(self._work, lambda: self._policy, self._let_go)

    def _let_go(self, bound: tuple[Any, ...]) -> None:
        instance = bound[0] if bound else None
        if all(queue.rests for queue in self._queues.queues(instance)):
            self._queues.rest(instance)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: the instance or nothing, the values, and what the calling code stands in."""

    bound: tuple[Any, ...]
    values: tuple[Any, ...]
    surroundings: Surroundings | None

    @property
    def instance(self) -> Any:
        return self.bound[0] if self.bound else None


class _Decorator:
    """`batch`; it is called, and has `DONE` as an attribute."""

    DONE: Final = DONE

    @overload
    def __call__(self, function: Callable[..., AsyncIterator[Sequence[T | Done]]], /) -> Batched[AsyncIterator[T]]: ...
    @overload
    def __call__(self, function: Callable[..., Iterator[Sequence[T | Done]]], /) -> Batched[AsyncIterator[T]]: ...
    @overload
    def __call__(self, function: Callable[..., Coroutine[Any, Any, Sequence[T]]], /) -> Batched[Awaitable[T]]: ...
    @overload
    def __call__(self, function: Callable[..., Sequence[T]], /) -> Batched[Awaitable[T]]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        max_batch_size: int = 10,
        batch_wait_timeout_s: float = 0.01,
        max_concurrent_batches: int = 1,
        batch_size_fn: Callable[[list[Any]], float] | None = None,
        on_error: Literal["fail", "isolate"] = "fail",
        max_waiting: int = MAX_WAITING,
    ) -> _Decorator: ...
    def __call__(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        max_batch_size: int = 10,
        batch_wait_timeout_s: float = 0.01,
        max_concurrent_batches: int = 1,
        batch_size_fn: Callable[[list[Any]], float] | None = None,
        on_error: Literal["fail", "isolate"] = "fail",
        max_waiting: int = MAX_WAITING,
    ) -> Any:
        """Makes a function run for many calls at once. Its parameters are lists, with one value of each call.

        It returns one value per call, in their order, or yields such a list again and again; then each caller has an
        async iterator. Where a call has nothing more to come, `batch.DONE` stands in its place (or `StopIteration`);
        what stands there later is ignored. Functions that are not async run on a thread.

        A generator is closed when all its callers have what they wanted, or have left: `current_batch()` tells the
        function who has.

        Args:
            max_batch_size: calls in a batch, or what they measure together.
            batch_wait_timeout_s: seconds that a call waits for others, where a batch could run.
            max_concurrent_batches: batches that run at a time, per instance.
            batch_size_fn: the size of a batch, from the values of its first parameter. It does not fall when values
                are added.
            on_error: after an exception, "fail" fails all calls of the batch; "isolate" tries those that were given
                nothing yet once more, one by one, so that one bad call does not spoil the others.
            max_waiting: calls that may wait, per instance; further ones fail with `Overloaded`.

        Raises:
            TypeError: it stands above something that is no function, or a value is of a wrong type.
            ValueError: a value is out of range.
        """
        policy = Policy(
            count_of("max_batch_size", max_batch_size), seconds_of("batch_wait_timeout_s", batch_wait_timeout_s)
        )
        if on_error not in ("fail", "isolate"):
            raise ValueError(f'on_error={on_error!r} is not known; write on_error="fail" or on_error="isolate"')
        make = partial(
            _batched,
            policy=policy,
            measure=function_of("batch_size_fn", batch_size_fn),
            isolates=on_error == "isolate",
            max_concurrent_batches=count_of("max_concurrent_batches", max_concurrent_batches),
            max_waiting=count_of("max_waiting", max_waiting),
        )
        return make if function is None else make(function)


batch: Final = _Decorator()


def _batched(function: Any, *, policy: Policy, **options: Any) -> Batched[Any]:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise TypeError(f"@batch stands above {function!r}, which is no function; put it directly above a `def`")
    name = function.__qualname__.rpartition("<locals>.")[2]
    return Batched(Work(name, function, Parameters.of(name, function), kind_of(function), **options), policy)
