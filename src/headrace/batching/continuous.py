"""`@continuous_batch`: calls that run together and one step at a time, each for as long as it needs.

    @continuous_batch(max_batch_size=32)
    def decode(self, slots: Slots[Prompt, str]) -> Iterator[None]:
        while True:
            for slot in slots.joined:
                slot.state = self.prefill(slot.request)
            for slot, token in zip(slots, self.step([slot.state for slot in slots])):
                slot.send(token.text)
                if token.is_last:
                    slot.finish()
            yield
                                                        async for text in self.decode(prompt): ...

Each `yield` is the boundary of a step: there slots leave that have ended or whose callers went away, and calls that
wait take their places. So a short answer never waits for a long one, nor for the batch to be over.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial, update_wrapper
from numbers import Real
from types import MethodType
from typing import Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, cast, overload

from headrace.batching.admission import Admission
from headrace.batching.instances import Instances
from headrace.batching.lane import Lane, Plan
from headrace.batching.members import StreamMember
from headrace.batching.reader import BlockingReader, wait_for
from headrace.batching.reading import StreamReader
from headrace.batching.settings import count_of, function_of, seconds_of
from headrace.batching.slots import Slots
from headrace.batching.stepping import Stepping, TaskStepping, ThreadStepping
from headrace.batching.surroundings import SURROUNDINGS, Surroundings
from headrace.errors import InvalidArguments

P = ParamSpec("P")
R = TypeVar("R")
I_co = TypeVar("I_co", covariant=True)
I = TypeVar("I")  # noqa: E741

_Generator: TypeAlias = Iterator[None] | AsyncIterator[None]
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_FORM = "write `def decode(self, slots: Slots[str, str]) -> Iterator[None]:`, with a `yield` after each step"

MAX_WAITING = 10_000
"""Calls that may wait for a slot, unless the decorator says otherwise."""

LINGER = 1.0
"""Seconds that the generator of a batch stays suspended when nobody is left, unless the decorator says otherwise."""

STEP_TIMEOUT = 30.0
"""Seconds that a step may take before its service is not ready any more, unless the decorator says otherwise."""


class ContinuousBatched(Generic[P, I_co]):
    """A function with `@continuous_batch`: called with one request, it gives the items of that request's slot.

    On an event loop a call gives an async iterator, on another thread, in an endpoint that is not async, an iterator.
    The call waits for its slot from the moment it is made.

    Args:
        function: the user's own.
        plan: what holds for its batches.
        request: makes the request from the arguments of a call; None: it is the only argument.
        measure: the cost of a request; None: there are no costs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        plan: Plan,
        request: Callable[..., Any] | None,
        measure: Callable[[Any], float] | None,
    ) -> None:
        update_wrapper(cast(Any, self), function)
        del self.__wrapped__  # type: ignore[attr-defined]  # its signature is another one
        self._function = function
        self._plan = plan
        self._request = request
        self._measure = measure
        self._is_method = len(inspect.signature(function).parameters) == 2
        self._numbers = itertools.count(1)
        self._lanes: Instances[Lane] = Instances(self._new_lane)

    def __get__(self, instance: object | None, owner: type | None = None) -> ContinuousBatched[P, I_co]:
        if instance is None or not self._is_method:
            return self
        return cast(ContinuousBatched[P, I_co], MethodType(self, instance))  # it has all the attributes of this one

    def __repr__(self) -> str:
        return f"<continuously batched {self._plan.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[I_co]:
        """One call.

        Raises:
            TypeError: the arguments do not fit.
            InvalidArguments: the request costs more than a batch has room for.
            Overloaded: too many calls wait already, or the function fails over and over.
            RuntimeError: there is no event loop to run it.
        """
        bound, given = (args[:1], args[1:]) if self._is_method else ((), args)
        request = self._requested(given, kwargs)
        call = _Call(bound, request, self._cost(request), SURROUNDINGS.get())
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return cast(AsyncIterator[I_co], self._call_from_thread(call))
        return self._submit(call)

    @property
    def healthy(self) -> bool:
        """Whether calls have a chance, on any instance: it does not fail over and over, and is not stuck in a step."""
        return all(lane.healthy for lane in self._lanes.all())

    def close(self) -> None:
        """Its generators end as soon as nobody is left, on any instance; a later call makes them afresh."""
        for lane in self._lanes.all():
            lane.close()

    def _new_lane(self) -> Lane:
        return Lane(self._plan, self._let_go)

    def _let_go(self, make: partial[Any]) -> None:
        instance = make.args[0] if make.args else None
        if all(lane.rests for lane in self._lanes.queues(instance)):
            self._lanes.rest(instance)

    def _requested(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._request is not None:
            return self._request(*args, **kwargs)
        if len(args) != 1 or kwargs:
            raise TypeError(
                f"{self._plan.name} takes one request, without a name; for several arguments write "
                "@continuous_batch(request=Prompt), with a dataclass Prompt of them"
            )
        return args[0]

    def _cost(self, request: Any) -> float:
        if self._measure is None:
            return 0.0
        cost, room = self._measure(request), self._plan.admission.cost
        if isinstance(cost, bool) or not isinstance(cost, Real) or not 0 <= float(cost) < math.inf:
            raise ValueError(f"cost_fn of {self._plan.name} gave {cost!r}; it must give a number, 0 or more")
        if not self._plan.admission.fits(cost):
            raise InvalidArguments(f"the request costs {cost:g}, and all together may cost {room:g}", ())
        return float(cost)

    def _submit(self, call: _Call, *, on_thread: bool = False) -> StreamReader[Any]:
        loop = asyncio.get_running_loop()
        caller = call.surroundings and call.surroundings.caller()
        member = StreamMember(caller.request_id if caller else str(next(self._numbers)), (call.request,), loop)
        make = partial(self._function, *call.bound)
        lane = self._lanes.queue(call.instance, loop)
        lane.submit(make, call.request, call.cost, member, call.surroundings)
        return StreamReader(member, self._plan.name, caller.children if on_thread and caller else None)

    def _call_from_thread(self, call: _Call) -> BlockingReader[Any]:
        loop = call.surroundings.loop if call.surroundings else self._lanes.loop(call.instance)

        async def begin() -> StreamReader[Any]:
            return self._submit(call, on_thread=True)

        return BlockingReader(wait_for(begin(), loop), loop)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: the instance or nothing, the request, its cost, and what the calling code stands in."""

    bound: tuple[Any, ...]
    request: Any
    cost: float
    surroundings: Surroundings | None

    @property
    def instance(self) -> Any:
        return self.bound[0] if self.bound else None


class _Decorate(Protocol):
    """`@continuous_batch(...)`: a call has one argument, the request."""

    @overload
    def __call__(self, function: Callable[[Slots[R, I]], _Generator], /) -> ContinuousBatched[[R], I]: ...
    @overload
    def __call__(self, function: Callable[[Any, Slots[R, I]], _Generator], /) -> ContinuousBatched[[R], I]: ...


class _DecorateRequest(Protocol[P]):
    """`@continuous_batch(request=Prompt, ...)`: a call has the arguments of `Prompt`."""

    @overload
    def __call__(self, function: Callable[[Slots[R, I]], _Generator], /) -> ContinuousBatched[P, I]: ...
    @overload
    def __call__(self, function: Callable[[Any, Slots[R, I]], _Generator], /) -> ContinuousBatched[P, I]: ...


@overload
def continuous_batch(function: Callable[[Slots[R, I]], _Generator], /) -> ContinuousBatched[[R], I]: ...
@overload
def continuous_batch(function: Callable[[Any, Slots[R, I]], _Generator], /) -> ContinuousBatched[[R], I]: ...
@overload
def continuous_batch(
    *,
    max_batch_size: int = 32,
    max_batch_cost: float | None = None,
    cost_fn: Callable[[Any], float] | None = None,
    max_waiting: int = MAX_WAITING,
    linger_s: float = LINGER,
    step_timeout_s: float = STEP_TIMEOUT,
) -> _Decorate: ...
@overload
def continuous_batch(
    *,
    request: Callable[P, Any],
    max_batch_size: int = 32,
    max_batch_cost: float | None = None,
    cost_fn: Callable[[Any], float] | None = None,
    max_waiting: int = MAX_WAITING,
    linger_s: float = LINGER,
    step_timeout_s: float = STEP_TIMEOUT,
) -> _DecorateRequest[P]: ...
def continuous_batch(
    function: Callable[..., Any] | None = None,
    /,
    *,
    request: Callable[..., Any] | None = None,
    max_batch_size: int = 32,
    max_batch_cost: float | None = None,
    cost_fn: Callable[[Any], float] | None = None,
    max_waiting: int = MAX_WAITING,
    linger_s: float = LINGER,
    step_timeout_s: float = STEP_TIMEOUT,
) -> Any:
    """Makes a generator function over `Slots` run for many calls, one step at a time.

    A sync generator runs in a thread of its own, an async one on the event loop. It is one for each instance and event
    loop, and works for all calls until nobody is left. If it raises, the members that were in its slots fail, with
    `WorkerLost` unless the error is a `StreamError`, and it is made afresh for those that wait: at most 5 times in 60
    seconds, then calls fail with `Overloaded` until that time is over, and their service is not ready.

    Args:
        request: what `slot.request` is made with, from the arguments of a call: a dataclass, say. None: a call has one
            argument, and that is the request.
        max_batch_size: slots.
        max_batch_cost: the most that the requests in the slots may cost together.
        cost_fn: the cost of a request, 0 or more: its number of tokens, say.
        max_waiting: calls that may wait for a slot, per instance; further ones fail with `Overloaded`.
        linger_s: seconds that the generator stays suspended when nobody is left; then it is closed.
        step_timeout_s: seconds that a step may take; after that the service is not ready until it is through.

    Raises:
        TypeError: it stands above something that is no generator function over slots, or a value is of a wrong type.
        ValueError: a value is out of range.
    """
    admission = Admission(count_of("max_batch_size", max_batch_size), _cost_of(max_batch_cost, cost_fn))
    make = partial(
        _batched,
        admission=admission,
        max_waiting=count_of("max_waiting", max_waiting),
        linger=seconds_of("linger_s", linger_s),
        step_timeout=seconds_of("step_timeout_s", step_timeout_s),
        request=function_of("request", request),
        measure=function_of("cost_fn", cost_fn),
    )
    return make if function is None else make(function)


def _batched(function: Any, *, request: Any, measure: Any, **plan: Any) -> ContinuousBatched[..., Any]:
    if inspect.isasyncgenfunction(function):
        stepping: type[Stepping] = TaskStepping
    elif inspect.isgeneratorfunction(function):
        stepping = ThreadStepping
    else:
        raise TypeError(f"@continuous_batch stands above {_named(function)}, which is no generator function: {_FORM}")
    name, parameters = _named(function), inspect.signature(function).parameters.values()
    for each in parameters:
        if each.kind not in _POSITIONAL:
            raise TypeError(f"{name} takes `{each.name}` by its name alone: {_FORM}")
    if len(parameters) not in (1, 2):
        raise TypeError(f"{name} takes {len(parameters)} parameters: {_FORM}")
    return ContinuousBatched(function, Plan(name=name, stepping=stepping, **plan), request, measure)


def _named(function: Any) -> str:
    name: str = getattr(function, "__qualname__", None) or repr(function)
    return name.rpartition("<locals>.")[2]


def _cost_of(cost: Any, measure: Any) -> float | None:
    if (cost is None) != (measure is None):
        raise ValueError("max_batch_cost and cost_fn belong together: give both, or neither")
    if cost is None:
        return None
    if isinstance(cost, bool) or not isinstance(cost, Real):
        raise TypeError(f"max_batch_cost={cost!r} is not a number; write one above 0, as in max_batch_cost=4096")
    if not 0 < float(cost) < math.inf:
        raise ValueError(f"max_batch_cost={cost!r} is out of range; write a number above 0, as in max_batch_cost=4096")
    return float(cost)
