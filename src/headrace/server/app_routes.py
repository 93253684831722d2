"""The routes of a mounted FastAPI or Starlette application, called on the service's instance.

A route that is declared on a method was read as if it were a function: its `self` counts as a parameter of the query.
Here that is taken back, and a function is put in the method's place that looks up the instance when a request comes.
So the application stays the one that its author holds, with its own documentation, state and overrides, and any number
of services and servers can use it at the same time.

What is used of the two frameworks: a route's `endpoint` and `app`, the `dependant` of FastAPI's (its `call`, its
`query_params`, its `dependencies`), and the lists named `routes`. `tests/server/test_app_routes.py` says when one of
them goes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from starlette.routing import Route, WebSocketRoute, request_response, websocket_session

from headrace.errors import DefinitionError, HeadraceError, Mistake
from headrace.server.visit import current_visit
from headrace.services.mistakes import place_of

FUNCTION = "__headrace_function__"
"""The attribute of a function of ours that has the user's."""


class NoInstance(HeadraceError):
    """A route that is a method was called where no service answers."""


def bind_routes(app: Any, service: type) -> None:
    """Makes all routes of an application answer for a service: those that are its methods are called on its instance.

    Does nothing to other ASGI applications, and nothing the second time.

    Args:
        app: changed in place.
        service: the class; methods of its bases count.

    Raises:
        DefinitionError: HR18, methods without `self`; nothing was changed.
    """
    methods = _methods(service)
    found = list(_routes(app))
    if mistakes := [_no_self(service, each) for route, _ in found if (each := _without_self(route, methods))]:
        raise DefinitionError(mistakes)
    for route, router in found:
        _bind(route, methods)
        mark = getattr(router, "_mark_routes_changed", None)
        if mark is not None:  # FastAPI reads the routes of included routers once, and again when it is told to
            mark()
    for route, _ in found:
        for context in getattr(route, "effective_route_contexts", tuple)():
            _bind_dependencies(getattr(context.starlette_route or context, "dependant", None), methods)
    if getattr(app, "openapi_schema", None) is not None:
        app.openapi_schema = None  # made when `self` was still in it


def _routes(app: Any, seen: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every route below an application, with what holds it."""
    router = getattr(app, "router", app)
    if any(each is router for each in seen):
        return
    for route in getattr(router, "routes", None) or ():
        yield route, router
        yield from _routes(getattr(route, "original_router", route), (*seen, router))


def _methods(service: type) -> dict[Any, str]:
    """The functions in the body of a class and its bases, each with its name there."""
    found: dict[Any, str] = {}
    for base in service.__mro__:
        for name, value in vars(base).items():
            function = value.__func__ if isinstance(value, classmethod) else value
            if inspect.isfunction(function):
                found[function] = name
                found.setdefault(inspect.unwrap(function), name)
    return found


def _bind(route: Any, methods: dict[Any, str]) -> None:
    endpoint, dependant = getattr(route, "endpoint", None), getattr(route, "dependant", None)
    function, bound_to = _function(endpoint)
    if not inspect.isfunction(function) or (dependant is None and not isinstance(route, (Route, WebSocketRoute))):
        return  # a class, a whole application, or of another framework
    name = _method(function, methods) or bound_to
    if endpoint is not function and name == bound_to:
        return  # by an earlier call
    route.endpoint = _answering(function, name)
    if dependant is not None:
        _forget_self(dependant, function, name)
        dependant.call = route.endpoint
        _bind_dependencies(dependant, methods)
    else:
        wrap = request_response if isinstance(route, Route) else websocket_session
        _innermost(route).app = wrap(route.endpoint)


def _function(endpoint: Any) -> tuple[Any, str]:
    """The user's own function, and the name of the method that it is called as already."""
    found: tuple[Any, str] = getattr(endpoint, FUNCTION, (endpoint, ""))
    return found


def _method(function: Any, methods: dict[Any, str]) -> str:
    return methods.get(function) or methods.get(inspect.unwrap(function)) or ""


def _without_self(route: Any, methods: dict[Any, str]) -> Any:
    """The function of a route that is a method and could not be called on an instance; None for any other."""
    function, _ = _function(getattr(route, "endpoint", None))
    if not inspect.isfunction(function) or not _method(function, methods):
        return None
    first = next(iter(inspect.signature(function).parameters), "")
    return None if first.lstrip("_") in ("self", "cls") else function


def _no_self(service: type, function: Any) -> Mistake:
    own = inspect.signature(function)
    parameters = ", ".join(["self", *map(str, own.parameters.values())])
    return Mistake(
        "HR18",
        f"{service.__name__}.{function.__name__} has no self",
        place_of(function),
        "A route that is declared in a service is called on its instance.",
        f"{'async def' if inspect.iscoroutinefunction(function) else 'def'} {function.__name__}({parameters}):",
    )


def _bind_dependencies(dependant: Any, methods: dict[Any, str]) -> None:
    """Methods can be FastAPI's dependencies as well: `Depends(user)`, where `user` stands above in the same class."""
    for each in () if dependant is None else dependant.dependencies:
        name = methods.get(each.call, "") if inspect.isfunction(each.call) else ""
        if name:
            _forget_self(each, each.call, name)
            each.call = _on_instance(each.call, name)
        _bind_dependencies(each, methods)


def _forget_self(dependant: Any, function: Callable[..., Any], name: str) -> None:
    """Takes `self` out of what FastAPI has read of a method."""
    if name:
        first = next(iter(inspect.signature(function).parameters))
        dependant.query_params[:] = [each for each in dependant.query_params if each.name != first]


def _innermost(route: Any) -> Any:
    """What holds the function itself: the route, or the last of its middleware."""
    holder = route
    while hasattr(holder.app, "app"):
        holder = holder.app
    return holder


def _answering(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A route's function, its generators kept for closing; of a method, called on the instance."""
    target = _on_instance(function, name) if name else function
    answering: Any
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):

        @functools.wraps(target)
        def answering(*args: Any, **kwargs: Any) -> Any:
            visit = current_visit()
            source = target(*args, **kwargs)
            return source if visit is None else visit.keep(source)
    elif inspect.iscoroutinefunction(function):

        @functools.wraps(target)
        async def answering(*args: Any, **kwargs: Any) -> Any:
            return _kept(await target(*args, **kwargs))
    else:

        @functools.wraps(target)
        def answering(*args: Any, **kwargs: Any) -> Any:
            return _kept(target(*args, **kwargs))

    setattr(answering, FUNCTION, (function, name))
    return answering  # type: ignore[no-any-return]


def _kept(answer: Any) -> Any:
    visit = current_visit()
    if visit is not None:
        visit.keep_body(answer)
    return answer


def _on_instance(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method `name` of the instance that answers; it looks like the function without `self`."""

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        visit = current_visit()
        if visit is None:
            raise NoInstance(
                f"{function.__qualname__} belongs to a service: serve that, or mount headrace.asgi(...) of it"
            )
        return getattr(visit.service, name)(*args, **kwargs)

    signature = inspect.signature(function)
    method.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return method
