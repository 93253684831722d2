"""A service's own methods, called over the client: `client.typed(Poet).write("rain")`.

The class is the source of truth for both ends: its endpoints' paths, parameters and types. To editors and type
checkers the result is a `Poet`. Calling a method gives what the method itself gives: `Header`, the items, `Footer`, or
the answer; over `AsyncClient` with `async for` and `await`, over `Client` with `for` and at once.

Not an endpoint that speaks another API, which answers in another form than headrace's, and not one whose path has named
parts: those are called by their paths.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.wire.annotations import ENDPOINT, read_stream, resolve
from headrace.wire.stream_types import StreamTypes, stream_types


@dataclass(frozen=True, slots=True)
class RemoteMethod:
    """One endpoint, as a client needs it."""

    path: str
    method: str
    streams: bool
    types: StreamTypes
    signature: inspect.Signature

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; raises TypeError where they do not fit the parameters."""
        given = self.signature.bind(None, *args, **kwargs).arguments
        return dict(list(given.items())[1:])  # without self


Invoke = Callable[[RemoteMethod, dict[str, Any]], Any]
"""Calls an endpoint with arguments by name."""


class TypedClient:
    """The endpoints of a service as methods."""

    def __init__(self, service: type, invoke: Invoke) -> None:
        """Raises TypeError where the class has no endpoints to call, or one whose types cannot be read."""
        self._service = service
        self._methods = remote_methods(service)
        self._invoke = invoke

    def __getattr__(self, name: str) -> Callable[..., Any]:
        methods: Mapping[str, RemoteMethod] = vars(self).get("_methods", {})
        if name not in methods:
            raise AttributeError(_unknown(self._service, name, methods) if methods else name)
        method = methods[name]
        return lambda *args, **kwargs: self._invoke(method, method.arguments(args, kwargs))

    def __dir__(self) -> list[str]:
        return sorted(self._methods)


def remote_methods(service: type) -> dict[str, RemoteMethod]:
    """The endpoints of a service class that are called by the names of their methods; raises TypeError without any."""
    methods: dict[str, RemoteMethod] = {}
    refused: list[str] = []
    for name, function in inspect.getmembers(service, callable):
        options = getattr(function, ENDPOINT, None)
        if options is None:
            continue
        if why := _why_not(name, options):
            refused.append(f"{service.__name__}.{why}")
        else:
            methods[name] = _remote_method(service, name, function, options)
    if not methods:
        raise TypeError("; ".join(refused) or f"{service.__name__} has no endpoints: methods marked with @endpoint")
    return methods


def _remote_method(service: type, name: str, function: Any, options: Any) -> RemoteMethod:
    signature = inspect.signature(function)
    plain = inspect.unwrap(function)
    try:
        returned = resolve(signature.return_annotation, plain, service)
        stream = read_stream(returned)
        types = (
            stream_types(returned)
            if stream is None
            else stream_types(stream.item, header_type=stream.header, footer_type=stream.footer)
        )
    except Exception as error:  # annotations are the user's expressions: anything can come out
        raise TypeError(f"{service.__name__}.{name}: its return type cannot be read: {error}") from error
    methods = options.methods
    return RemoteMethod(
        path=options.path or f"/{name}",
        method="POST" if "POST" in methods else methods[0],
        streams=stream is not None,
        types=types,
        signature=signature,
    )


def _why_not(name: str, options: Any) -> str:
    """Why an endpoint is not called by its method's name, and what to do instead; empty for one that is."""
    path = options.path or f"/{name}"
    if options.dialect is not None:
        return f"{name} speaks another API at {path}: call it with a client of that API"
    if "{" in path:
        return f"{name} has named parts in its path: fill them in, and client.stream or client.call takes it: {path}"
    return ""


def _unknown(service: type, name: str, methods: Mapping[str, RemoteMethod]) -> str:
    options = getattr(getattr(service, name, None), ENDPOINT, None)
    if options is not None:
        return f"{service.__name__}.{_why_not(name, options)}"
    close = difflib.get_close_matches(name, methods, n=1)
    hint = f'. Did you mean "{close[0]}"?' if close else f": it has {', '.join(methods)}"
    return f'{service.__name__} has no endpoint "{name}"{hint}'
