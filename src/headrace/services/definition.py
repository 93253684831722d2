"""What a service is: its endpoints and their paths, and every mistake in them, found together.

Nothing here runs the user's code: `define` reads the class that the decorators have marked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.errors import DefinitionError, Mistake
from headrace.services.decorators import ENDPOINT, SERVICE, ServiceOptions
from headrace.services.endpoint import EndpointDefinition, read_endpoint
from headrace.services.mistakes import place_of, place_of_class

RESERVED_PATHS = ("/livez", "/readyz", "/metrics", "/openapi.json", "/streams")


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service class and its endpoints, in the order of the class."""

    service: type
    name: str
    description: str
    endpoints: tuple[EndpointDefinition, ...]


def define(service: type) -> ServiceDefinition:
    """Reads a class marked with `@service`.

    Raises:
        DefinitionError: with all mistakes of all endpoints.
    """
    options: ServiceOptions | None = vars(service).get(SERVICE)
    if options is None:
        raise DefinitionError([_not_a_service(service)])
    mistakes: list[Mistake] = []
    endpoints: list[tuple[EndpointDefinition, Callable[..., Any]]] = []
    for name, function in _marked(service):
        endpoint, wrong = read_endpoint(service.__name__, name, function)
        mistakes += wrong
        if endpoint is not None:
            endpoints.append((endpoint, function))
    if not endpoints and not mistakes:
        mistakes.append(_no_endpoint(service))
    mistakes += _path_clashes(endpoints)
    if mistakes:
        raise DefinitionError(mistakes)
    return ServiceDefinition(
        service=service,
        name=options.name,
        description=inspect.cleandoc(service.__doc__ or ""),
        endpoints=tuple(endpoint for endpoint, _ in endpoints),
    )


def _marked(service: type) -> list[tuple[str, Callable[..., Any]]]:
    """The marked methods, base classes first; one that overrides a marked one without marking it is no endpoint."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(service.__mro__):
        for name, value in vars(base).items():
            if hasattr(value, ENDPOINT):
                found[name] = value
            else:
                found.pop(name, None)
    return list(found.items())


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


def _path_clashes(endpoints: list[tuple[EndpointDefinition, Callable[..., Any]]]) -> list[Mistake]:
    mistakes: list[Mistake] = []
    taken: dict[str, str] = {}
    for endpoint, function in endpoints:
        path, free = endpoint.path, f'@endpoint(path="/my_{endpoint.attribute}")'
        reserved = next((p for p in RESERVED_PATHS if path == p or path.startswith(p + "/")), None)
        first = taken.setdefault(path, endpoint.label)
        if reserved is not None:
            why = f"headrace itself answers at {reserved}."
        elif first != endpoint.label:
            why = f"{first} is already served at {path}."
        else:
            continue
        mistakes.append(Mistake("HR17", f"{endpoint.label} cannot be served at {path}", place_of(function), why, free))
    return mistakes
