"""`@service`, `@endpoint` and `@asgi_app`: they record what the user said and start nothing.

What they recorded is read by `headrace.services.definition`, which also finds the mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from headrace.errors import DefinitionError, Mistake
from headrace.services.mistakes import place_of, place_of_class
from headrace.wire.annotations import ENDPOINT

if TYPE_CHECKING:  # every `import headrace` comes by here, and a dialect's encoders need pydantic
    from headrace.wire.dialect import Dialect

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")

SERVICE = "__headrace_service__"
MOUNTS = "__headrace_mounts__"


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What `@service(...)` was given."""

    name: str


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """What `@endpoint(...)` was given, right or wrong; None where the definition chooses.

    `positional` is what stood there without a name, as in `@endpoint("/write")`: a mistake, kept to be told. The
    timeouts are in seconds; None: no bound.
    """

    path: str | None = None
    methods: tuple[str, ...] = ("POST",)
    media_type: str | None = None
    summary: str | None = None
    positional: str | None = None
    first_item_timeout: float | None = None
    item_timeout: float | None = None
    timeout: float | None = None
    dialect: Dialect | None = None


@dataclass(frozen=True, slots=True)
class MountOptions:
    """What `@asgi_app(...)` was given, right or wrong."""

    app: Any
    path: Any = "/"


@dataclass(frozen=True, slots=True)
class Bound(Generic[S]):
    """A service class with the arguments of its constructor: what `Service.bind(...)` gives, and what can be served.

    `attributes` are the services that attributes of the class depend on. With a `url` it runs elsewhere (both:
    `headrace.services.dependencies`).
    """

    service: type[S]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Bound[Any]] = field(default_factory=dict)
    url: str | None = None


class NoMethod:
    """Something that `@endpoint` marked and that takes no mark of its own, kept in its place to be told of."""

    def __init__(self, func: Any, options: EndpointOptions) -> None:
        self.func = func
        setattr(self, ENDPOINT, options)


class _Bind:
    """`Service.bind(*args, **kwargs)`, reachable from the class alone."""

    def __get__(self, instance: object, owner: type[S]) -> Callable[..., Bound[S]]:
        def bind(*args: Any, **kwargs: Any) -> Bound[S]:
            """The service with these constructor arguments; nothing is constructed yet."""
            return Bound(owner, args, kwargs)

        return bind


@overload
def service(cls: C, /) -> C: ...
@overload
def service(*, name: str | None = None) -> Callable[[C], C]: ...
def service(cls: type | None = None, /, *, name: str | None = None) -> Any:
    """Makes a class a service. Its constructor runs once per replica, and is the place to load a model.

    Methods `on_start` and `on_stop`, sync or async, are called after the constructor and before the process ends.
    `on_stop` is called once, and only for a service that has started: not when `on_start` raised.

    Args:
        name: the service's name in logs, metrics and documentation; the class's own by default.

    Raises:
        DefinitionError: HR17, it stands above something that is not a class.
    """

    def mark(cls: C) -> C:
        if not isinstance(cls, type):
            raise DefinitionError([_not_a_class(cls)])
        setattr(cls, SERVICE, ServiceOptions(name=name or cls.__name__))
        if "bind" not in vars(cls):
            setattr(cls, "bind", _Bind())  # noqa: B010
        return cls

    return mark if cls is None else mark(cls)


def _not_a_class(marked: Any) -> Mistake:
    name = getattr(marked, "__name__", repr(marked))
    fix = f"@service(name={marked!r})" if isinstance(marked, str) else "@service\nclass Chat:"
    place = place_of(marked) if callable(marked) else None
    return Mistake("HR17", f"{name} is not a class", place, "A service is a class; its methods are the endpoints.", fix)


@overload
def endpoint(function: F, /) -> F: ...
@overload
def endpoint(
    *,
    path: str | None = None,
    methods: Sequence[str] = ("POST",),
    media_type: str | None = None,
    summary: str | None = None,
    first_item_timeout: float | None = None,
    item_timeout: float | None = None,
    timeout: float | None = None,
    dialect: Dialect | None = None,
) -> Callable[[F], F]: ...
def endpoint(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    path: str | None = None,
    methods: Sequence[str] = ("POST",),
    media_type: str | None = None,
    summary: str | None = None,
    first_item_timeout: float | None = None,
    item_timeout: float | None = None,
    timeout: float | None = None,
    dialect: Dialect | None = None,
) -> Any:
    """Makes a method of a service an endpoint. Generators stream what they yield; other methods answer once.

    Args:
        path: where it is served; `/` and the method's name by default. A part `{name}` is any one part of a path, and
            becomes the argument of that name; `{name:path}` may have slashes in it. An exact path comes first, then the
            one with the most text written out.
        methods: HTTP methods. `GET` takes its arguments from the query, and is for endpoints whose parameters are all
            scalars; it makes an endpoint usable from a browser's `EventSource`.
        media_type: what the bytes of a `bytes` stream are (`audio/wav`), or the text of a `str` stream
            (`text/markdown`).
        summary: one line for the documentation; the first line of the docstring by default.
        first_item_timeout: seconds from the start of the method to its first item, or to its answer; after that the
            request fails with `timeout_first_item`.
        item_timeout: seconds that a stream may be silent between its items; after that it fails with `timeout_item`.
            Without a `first_item_timeout` it holds for the first item too. Time in which the client does not read does
            not count.
        timeout: seconds from the request to the end of the answer, the time in the queue included; after that it fails
            with `deadline_exceeded`. A client may ask for less with `Headrace-Timeout`. The method reads what is left
            from `context.remaining`.
        dialect: another API to speak instead of headrace's own formats (`headrace.wire.dialect`): it reads the body,
            chooses the encoding and tells errors. Such an endpoint has no WebSocket.
    """

    positional = function if isinstance(function, str) else None
    names: Any = methods if isinstance(methods, str) else tuple(str(method).upper() for method in methods)
    options = EndpointOptions(
        path, names, media_type, summary, positional, first_item_timeout, item_timeout, timeout, dialect
    )

    def mark(function: Any) -> Any:
        try:
            setattr(function, ENDPOINT, options)
        except AttributeError:
            return NoMethod(function, options)
        return function

    return mark if function is None or positional is not None else mark(function)


def asgi_app(app: Callable[..., Any], path: str = "/") -> Callable[[C], C]:
    """Mounts an ASGI application in a service: its routes are served beside the endpoints.

    Routes of FastAPI and Starlette applications that are declared on methods of the class are called on the service's
    instance. Stands above or below `@service`; a subclass has the applications of its bases.

    Args:
        app: any ASGI application. What it shares with other services and servers of the process stays shared.
        path: where it is mounted. Endpoints and headrace's own paths come before the application at `/`.

    Raises:
        DefinitionError: HR17, it stands above something that is not a class, or names no application.
    """
    if isinstance(app, type):
        raise DefinitionError([_no_application(app)])

    def mark(cls: C) -> C:
        if not isinstance(cls, type):
            raise DefinitionError([_not_a_class(cls)])
        setattr(cls, MOUNTS, (MountOptions(app, path), *getattr(cls, MOUNTS, ())))
        return cls

    return mark


def _no_application(marked: type) -> Mistake:
    return Mistake(
        "HR17",
        f"@asgi_app above {marked.__name__} names no application",
        place_of_class(marked),
        "It mounts an ASGI application that exists already.",
        f"@asgi_app(app)\nclass {marked.__name__}:",
    )
