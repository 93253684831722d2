"""What a service is: its endpoints and their paths, and every mistake in them, found together.

Nothing here runs the user's code: `define` reads the class that the decorators have marked.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

from headrace.errors import DefinitionError, Mistake
from headrace.services.constructor import constructor_mistakes
from headrace.services.decorators import SERVICE, Bound, EndpointOptions, ServiceOptions
from headrace.services.dependencies import every, resolved, same
from headrace.services.endpoint import EndpointDefinition, read_endpoint
from headrace.services.mistakes import place_of, place_of_class
from headrace.services.mounts import MountDefinition, read_mounts
from headrace.wire.annotations import ENDPOINT

RESERVED_PATHS = ("/livez", "/readyz", "/metrics", "/openapi.json", "/streams")
"""Where headrace itself answers, and below."""

HOOKS = ("on_start", "on_stop")


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service class and its endpoints, in the order of the class.

    Attributes:
        bound: what it is constructed with, everything it depends on included (`dependencies.resolved`).
        dependencies: all services below it, each once, those that others depend on first.
        mounts: its ASGI applications, those with the longest paths first.
    """

    service: type
    name: str
    description: str
    endpoints: tuple[EndpointDefinition, ...]
    bound: Bound[Any]
    dependencies: tuple[ServiceDefinition, ...] = ()
    mounts: tuple[MountDefinition, ...] = ()


def reserved(path: str) -> str | None:
    """The reserved path that this one is or lies below."""
    return next((each for each in RESERVED_PATHS if path == each or path.startswith(each + "/")), None)


def define(target: type | Bound[Any]) -> ServiceDefinition:
    """Reads a class marked with `@service`, or one bound to the arguments of its constructor.

    Raises:
        DefinitionError: with all mistakes of all endpoints and of what the service depends on; of a bound one, also
            those in the constructor's arguments.
    """
    checks_constructor = isinstance(target, Bound)
    bound = target if isinstance(target, Bound) else Bound(target)
    if isinstance(bound.service, type):
        bound = resolved(bound)
    mistakes: list[Mistake] = []
    read: list[ServiceDefinition] = []
    for each in every(bound):
        if any(same(each, other.bound) for other in read):
            continue
        try:
            read.append(_define(each, checks_constructor or each is not bound))
        except DefinitionError as error:
            mistakes += [mistake for mistake in error.mistakes if mistake not in mistakes]
    if mistakes:
        raise DefinitionError(mistakes)
    return replace(read[-1], dependencies=tuple(read[:-1]))


def _define(bound: Bound[Any], checks_constructor: bool) -> ServiceDefinition:
    """One service, without what it depends on."""
    service = bound.service
    if not isinstance(service, type):
        raise DefinitionError([_not_a_class(service)])
    options: ServiceOptions | None = vars(service).get(SERVICE)
    if options is None:
        raise DefinitionError([_not_a_service(service)])
    mistakes = constructor_mistakes(bound) if checks_constructor and bound.url is None else []
    mistakes += _hook_mistakes(service)
    endpoints: list[tuple[EndpointDefinition, Any]] = []
    marked = _marked(service)
    for name, (value, marks) in marked.items():
        endpoint, wrong = read_endpoint(service, name, value, marks)
        mistakes += wrong
        if endpoint is not None:
            endpoints.append((endpoint, value))
    taken = (*RESERVED_PATHS, *(endpoint.path for endpoint, _ in endpoints))
    mounts, wrong = read_mounts(service, options.name, taken)
    mistakes += wrong
    if not (marked or mounts or wrong):
        mistakes.append(_no_endpoint(service))
    mistakes += _path_clashes(endpoints)
    if mistakes:
        raise DefinitionError(mistakes)
    return ServiceDefinition(
        service=service,
        name=options.name,
        description=inspect.cleandoc(service.__doc__ or ""),
        endpoints=tuple(endpoint for endpoint, _ in endpoints),
        bound=bound,
        mounts=mounts,
    )


def _marked(service: type) -> dict[str, tuple[Any, EndpointOptions]]:
    """The marked methods, base classes first; one that overrides a marked one without marking it is no endpoint."""
    found: dict[str, tuple[Any, EndpointOptions]] = {}
    for base in reversed(service.__mro__):
        for name, value in vars(base).items():
            options = _mark_of(value)
            if options is not None:
                found[name] = (value, options)
            else:
                found.pop(name, None)
    return found


def _mark_of(value: Any) -> EndpointOptions | None:
    """What `@endpoint` left on a value, or on the function that a property or the like holds."""
    for each in (value, *(getattr(value, name, None) for name in ("fget", "func", "__func__"))):
        options = getattr(each, ENDPOINT, None)
        if isinstance(options, EndpointOptions):
            return options
    return None


def _hook_mistakes(service: type) -> list[Mistake]:
    """HR06 and HR18 for an `on_start` or `on_stop` that would never run."""
    mistakes: list[Mistake] = []
    for name in HOOKS:
        hook = inspect.unwrap(inspect.getattr_static(service, name, None))
        label, fix = f"{service.__name__}.{name}", f"async def {name}(self) -> None:"
        if not inspect.isfunction(hook):
            continue
        if inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
            why = f"{name} is called, not iterated, and a generator that nobody iterates does nothing."
            mistakes.append(Mistake("HR06", f"{label} yields, so it would never run", place_of(hook), why, fix))
        needed = [each for each in inspect.signature(hook).parameters.values() if each.default is each.empty]
        needed = [each for each in needed if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        if len(needed) > 1:
            what = f"{label}({needed[1].name}): nothing is passed to {name}"
            why = "What the service needs comes through its constructor."
            mistakes.append(Mistake("HR18", what, place_of(hook, needed[1].name), why, fix))
    return mistakes


def _not_a_class(target: Any) -> Mistake:
    name = type(target).__name__
    return Mistake(
        "HR02",
        f"an object of {name} cannot be served",
        None,
        "headrace constructs the service itself, once per replica.",
        f"app = {name}.bind(...)",
    )


def _not_a_service(service: type) -> Mistake:
    return Mistake(
        "HR02",
        f"{service.__name__} is not a service",
        place_of_class(service),
        "Only classes marked with @service are served.",
        f"@service\nclass {service.__name__}:",
    )


def _no_endpoint(service: type) -> Mistake:
    return Mistake(
        "HR17",
        f"{service.__name__} has no endpoint",
        place_of_class(service),
        "A service answers through methods marked with @endpoint.",
        "@endpoint\nasync def write(self, topic: str) -> AsyncIterator[str]:",
    )


def _path_clashes(endpoints: list[tuple[EndpointDefinition, Any]]) -> list[Mistake]:
    mistakes: list[Mistake] = []
    taken: dict[str, EndpointDefinition] = {}
    for endpoint, function in endpoints:
        path, free = endpoint.path, f'@endpoint(path="/my_{endpoint.attribute}")'
        ours = reserved(path)
        first = taken.setdefault(path if endpoint.pattern is None else endpoint.pattern.shape, endpoint)
        if ours is not None:
            why = f"headrace itself answers at {ours}."
        elif first is not endpoint:
            why = f"{first.label} is already served at {first.path}."
        else:
            continue
        mistakes.append(Mistake("HR17", f"{endpoint.label} cannot be served at {path}", place_of(function), why, free))
    return mistakes
