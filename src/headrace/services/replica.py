"""One running service: its instance, its worker threads, and how one of its endpoints is run."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from headrace.errors import SetupError
from headrace.services.decorators import Bound
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.streams.blocking import Blocking
from headrace.streams.pump import Drive, drive_async, drive_call, drive_sync
from headrace.streams.threads import Threads

logger = logging.getLogger("headrace.services")


class Replica(Protocol):
    """A service that can be called, in this process or elsewhere."""

    definition: ServiceDefinition
    instance: Any
    """The user's object, once it has started; None where it is elsewhere."""

    @property
    def threads_stuck(self) -> int:
        """Worker threads that did not return when they were stopped."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether it can answer, as far as it says so itself (`docs/concepts.md`)."""
        ...

    @property
    def example_arguments(self) -> Mapping[str, Any]:
        """Values of arguments that work, by their names, as far as it tells some (`docs/howto/dialects.md`)."""
        ...

    async def start(self, handle: Callable[[Bound[Any]], Any]) -> None:
        """Makes it ready to be called. `handle` gives what stands for a service that it depends on.

        Raises:
            SetupError: the user's code raised; that is its cause.
        """
        ...

    async def stop(self) -> None:
        """Lets it go, once; never raises."""
        ...

    def drive(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> Drive:
        """One run of an endpoint."""
        ...


class LocalReplica:
    """A service constructed in this process.

    Each has worker threads of its own: a sync endpoint that waits on its thread for another service must never wait for
    a thread that the waiting ones hold.
    """

    def __init__(self, definition: ServiceDefinition, sync_threads: int) -> None:
        self.definition = definition
        self._threads = Threads(sync_threads)
        self.instance: Any = None

    @property
    def threads_stuck(self) -> int:
        """See `Replica.threads_stuck`."""
        return self._threads.stuck

    @property
    def healthy(self) -> bool:
        """False when the service's own `healthy` is, or cannot be read. A method of that name says nothing."""
        try:
            said = getattr(self.instance, "healthy", True)
            return callable(said) or bool(said)
        except Exception:  # a property of the user's own
            logger.exception("%s.healthy failed", self.definition.name)
            return False

    @property
    def example_arguments(self) -> Mapping[str, Any]:
        """The service's own `example_arguments`; none before it has started, and where they cannot be read."""
        try:
            return dict(getattr(self.instance, "example_arguments", ()))
        except Exception:  # a property of the user's own
            logger.exception("%s.example_arguments failed", self.definition.name)
            return {}

    async def start(self, handle: Callable[[Bound[Any]], Any]) -> None:
        """Constructs the service and calls its `on_start`; see `Replica.start`."""
        step = "__init__"
        try:
            instance = _construct(self.definition.bound, handle)
            step = "on_start"
            await _call(instance, step)
        except (Exception, SystemExit) as error:  # sys.exit in a constructor must not take the server along unheard
            reason = f"{self.definition.name} could not be started: {type(error).__name__}: {error}"
            raise SetupError(reason, step) from error
        self.instance = instance

    async def stop(self) -> None:
        """Calls the service's `on_stop`; what it raises is logged."""
        try:
            await _call(self.instance, "on_stop")
        except Exception:
            logger.exception("%s.on_stop failed", self.definition.name)

    def drive(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any]) -> Drive:
        """See `Replica.drive`."""
        method = getattr(self.instance, endpoint.attribute)
        if endpoint.is_async:
            call = partial(method, **arguments)
            return drive_async(call) if endpoint.streams else drive_call(call)
        blocking = {
            name: Blocking(value, asyncio.get_running_loop())
            for name, value in arguments.items()
            if endpoint.arguments.is_stream(name)
        }
        call = partial(method, **{**arguments, **blocking})

        def stop() -> None:
            for each in blocking.values():
                each.stop()

        if endpoint.streams:
            return drive_sync(call, self._threads, stop)
        return drive_call(lambda: self._threads.call(call, stop))


def _construct(bound: Bound[Any], handle: Callable[[Bound[Any]], Any]) -> Any:
    def given(value: Any) -> Any:
        return handle(value) if isinstance(value, Bound) else value

    service: Any = bound.service
    args = [given(each) for each in bound.args]
    kwargs = {name: given(each) for name, each in bound.kwargs.items()}
    if not bound.attributes:
        return service(*args, **kwargs)
    instance = service.__new__(service, *args, **kwargs)
    for name, each in bound.attributes.items():  # before the constructor, which may pass them on
        object.__setattr__(instance, name, handle(each))  # past the __setattr__ of a frozen dataclass
    instance.__init__(*args, **kwargs)
    return instance


async def _call(instance: Any, name: str) -> None:
    """Calls a hook of the service if it has one: async on the loop, sync on a thread."""
    hook = getattr(instance, name, None)
    if hook is None:
        return
    result = hook() if inspect.iscoroutinefunction(hook) else await asyncio.to_thread(hook)
    if inspect.isawaitable(result):  # also what a decorator that is not async itself passes on
        await result
