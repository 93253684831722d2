"""Puts other services in the place of those that a service depends on, wherever in the tree they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from headrace.services.decorators import Bound
from headrace.services.dependencies import every, resolved

Replacements: TypeAlias = Mapping[type, "type | Bound[Any]"]
"""A service by the one that it stands in for: `{Other: FakeOther}`, `{Other: FakeOther.bind(["a", "b"])}`."""


def replaced(target: type | Bound[Any], replacements: Replacements | None) -> Bound[Any]:
    """The service, with the replacements in the places of what it depends on.

    What stands in has endpoints of the same names, those at least that the test comes by. It takes the place of a
    service at a url, too.

    Raises:
        ValueError: it does not depend on one of them, so the replacement would do nothing.
        DefinitionError: see `resolved`.
    """
    tree = resolved(target if isinstance(target, Bound) else Bound(target))
    below = [each.service for each in every(tree) if each is not tree]
    for service in replacements or {}:
        if service not in below:
            names = ", ".join(sorted({each.__name__ for each in below})) or "nothing"
            raise ValueError(
                f"replace: {tree.service.__name__} does not depend on {service.__name__}, it depends on {names}"
            )
    return _inside(tree, replacements) if replacements else tree


def _inside(bound: Bound[Any], replacements: Replacements) -> Bound[Any]:
    def place(value: Any) -> Any:
        if not isinstance(value, Bound):
            return value
        other = replacements.get(value.service)
        if other is None:
            return _inside(value, replacements)
        return other if isinstance(other, Bound) else Bound(other)

    return replace(
        bound,
        args=tuple(place(each) for each in bound.args),
        kwargs={name: place(each) for name, each in bound.kwargs.items()},
        attributes={name: place(each) for name, each in bound.attributes.items()},
    )
