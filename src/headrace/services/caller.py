"""What stands for a service in the code of another one: `self.other.write("rain")`.

Calling an endpoint through it looks like calling the method: the same parameters, checked; the same results. Only
endpoints are there, because only they can be called when the other service runs elsewhere.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from headrace.errors import InvalidArguments
from headrace.services.call import AnswerCall, BlockingCall, StreamCall, wait_for
from headrace.services.definition import ServiceDefinition
from headrace.services.endpoint import EndpointDefinition
from headrace.streams.yields import short_path

Start = Callable[[EndpointDefinition, Mapping[str, Any], str], StreamCall | AnswerCall]
"""Starts a call: the endpoint, its checked arguments by name, and the line that calls."""


class Caller:
    """The endpoints of one service, as functions. It has no other names of its own, whatever endpoints are called.

    Args:
        definition: of the service.
        start: called on the event loop.
        loop: that event loop, for callers on worker threads.
    """

    def __init__(self, definition: ServiceDefinition, start: Start, loop: asyncio.AbstractEventLoop) -> None:
        self.__name = definition.name
        self.__service = definition.service
        self.__elsewhere = definition.bound.url is not None
        self.__start = start
        self.__loop = loop
        self.__endpoints = {each.attribute: each for each in definition.endpoints}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        endpoints: Mapping[str, EndpointDefinition] = vars(self).get("_Caller__endpoints", {})
        if name not in endpoints:
            raise AttributeError(_unknown(self.__service.__name__, name, endpoints) if endpoints else name)
        endpoint = endpoints[name]
        if self.__elsewhere and endpoint.dialect is not None:
            raise TypeError(
                f"HR15 {endpoint.label} speaks another API and runs elsewhere: call it with a client of that API"
            )

        def call(*args: Any, **kwargs: Any) -> Any:
            arguments = _arguments(getattr(self.__service, name), endpoint, args, kwargs)
            frame = sys._getframe(1)
            place = f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno}"
            if _on(self.__loop):
                return self.__start(endpoint, arguments, place)
            return self.__call_from_thread(endpoint, arguments, place)

        return call

    def __call_from_thread(self, endpoint: EndpointDefinition, arguments: Mapping[str, Any], place: str) -> Any:
        async def begin() -> Any:
            call = self.__start(endpoint, arguments, place)
            return call if isinstance(call, StreamCall) else await call

        begun = wait_for(begin(), self.__loop)
        return BlockingCall(begun, self.__loop) if endpoint.streams else begun

    def __dir__(self) -> list[str]:
        return sorted(self.__endpoints)

    def __repr__(self) -> str:
        return f"<handle of {self.__name}>"


def _on(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is code on the event loop; False on a thread without one."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return False
    if running is not loop:
        raise RuntimeError("services are called on the event loop that runs them, or on a thread without an event loop")
    return True


def _unknown(service: str, name: str, endpoints: Mapping[str, EndpointDefinition]) -> str:
    close = difflib.get_close_matches(name, endpoints, n=1)
    hint = f'. Did you mean "{close[0]}"?' if close else f": it has {', '.join(endpoints)}"
    return f'{service} has no endpoint "{name}"{hint}'


def _arguments(
    method: Any, endpoint: EndpointDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by name, checked. Raises TypeError: whoever calls has made the mistake."""
    try:
        given = inspect.signature(method).bind(None, *args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{endpoint.label}{endpoint.signature}: {error}") from None
    values = dict(list(given.items())[1:])  # without self
    try:
        return endpoint.arguments.from_values(values)
    except InvalidArguments as error:
        raise TypeError(f"{endpoint.label}{endpoint.signature}: {error.message}") from None
