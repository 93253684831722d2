"""Which endpoint answers at a path: one that is served at exactly this path, else the pattern that fits.

Of several patterns the one with the most text written out comes first. No pattern takes a path of the server's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from headrace.services.definition import reserved
from headrace.services.endpoint import EndpointDefinition

Known: TypeAlias = Callable[[], Mapping[str, Any]]
"""Gives values of arguments that the service knows to work, by their names; it may have none before it has started."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, and what the named parts of its path are in a request. `known` is for examples of requests."""

    endpoint: EndpointDefinition
    known: Known
    parts: Mapping[str, str] = field(default_factory=dict)


class Routes:
    """The endpoints of a service by their paths; `paths` are all of them as they were declared."""

    def __init__(self, endpoints: Iterable[EndpointDefinition], known: Known = dict) -> None:
        listed = list(endpoints)
        self.paths = {endpoint.path: endpoint for endpoint in listed}
        self._known = known
        self._exact = {endpoint.path: Route(endpoint, known) for endpoint in listed if endpoint.pattern is None}
        patterns = [(endpoint.pattern, endpoint) for endpoint in listed if endpoint.pattern is not None]
        self._patterns = sorted(patterns, key=lambda each: each[0].text, reverse=True)

    def find(self, path: str) -> Route | None:
        """Who answers at a path; None where no endpoint does."""
        route = self._exact.get(path)
        if route is not None or reserved(path):
            return route
        for pattern, endpoint in self._patterns:
            if (parts := pattern.match(path)) is not None:
                return Route(endpoint, self._known, parts)
        return None
