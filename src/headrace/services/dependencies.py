"""What a service depends on: `other: Handle[Other] = depends(Other)`, and the tree that follows from it.

A dependency is the default of a constructor parameter, or an attribute of the class. `bind` may name another one in its
place: `Pipeline.bind(other=Other.bind(size=3))`, `Pipeline.bind(other=depends(Other, url=...))`. `resolved` writes all
of them into the tree of `Bound`s, so that everything that walks it - the mistakes, `--set`, the runtime - finds them in
one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

from headrace.errors import DefinitionError, Mistake
from headrace.services.constructor import constructor_parameters
from headrace.services.decorators import Bound
from headrace.services.mistakes import place_of_class

S = TypeVar("S")

if TYPE_CHECKING:
    Handle = Annotated[S, "called like the service itself"]
else:

    class Handle(Generic[S]):
        """The annotation of a dependency. To type checkers `Handle[Other]` is `Other`: its endpoints, their types."""


class Dependency:
    """What `depends` leaves until the service is started: it can only say that it was not."""

    def __init__(self, bound: Bound[Any]) -> None:
        self.__bound = bound

    @staticmethod
    def bound_of(value: Any) -> Bound[Any] | None:
        """The service that a value of the user's depends on; None for any other value."""
        return value.__bound if isinstance(value, Dependency) else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself asks of any object
            raise AttributeError(name)
        service = self.__bound.service.__name__
        raise AttributeError(
            f"{service}.{name} is not there yet: the service that depends on it was constructed by hand. Serve it, use "
            f"headrace.testing.connect, or pass a {service}() of your own to its constructor"
        )


def depends(target: type[S] | Bound[S], *, url: str | None = None) -> S:
    """Says that a service calls another one, which is started before it and stopped after it.

    As the default of a constructor parameter, or as an attribute of the class:

        @service
        class Pipeline:
            other: Handle[Other] = depends(Other)

    Services that depend on the same one share it.

    Args:
        target: the service's class, or one bound to its constructor's arguments.
        url: where it runs, `http://host:port`, if it is not to run in this process. It is then called over the client.
    """
    bound = target if isinstance(target, Bound) else Bound(target)
    return cast(S, Dependency(replace(bound, url=url)))


def resolved(bound: Bound[Any]) -> Bound[Any]:
    """The service with everything it depends on, and what these depend on.

    Raises:
        DefinitionError: HR20, services depend on each other in a circle, or a url is none.
    """
    return _resolved(bound, ())


def every(bound: Bound[Any]) -> Iterator[Bound[Any]]:
    """A resolved service and all below it; those that others depend on come first."""
    for value in (*bound.args, *bound.kwargs.values(), *bound.attributes.values()):
        if isinstance(value, Bound):
            yield from every(value)
    yield bound


def same(one: Bound[Any], other: Bound[Any]) -> bool:
    """Whether two places of the tree mean one service, which they then share."""
    if one is other:
        return True
    if one.service is not other.service or one.url != other.url or len(one.args) != len(other.args):
        return False
    mine, theirs = {**one.kwargs, **one.attributes}, {**other.kwargs, **other.attributes}
    if mine.keys() != theirs.keys():
        return False
    pairs = [*zip(one.args, other.args, strict=True), *((mine[name], theirs[name]) for name in mine)]
    return all(_same_value(a, b) for a, b in pairs)


def _same_value(one: Any, other: Any) -> bool:
    if isinstance(one, Bound) and isinstance(other, Bound):
        return same(one, other)
    try:
        return one is other or (type(one) is type(other) and (one == other) is True)
    except Exception:  # the user's own __eq__
        return False


def _resolved(bound: Bound[Any], above: tuple[Bound[Any], ...]) -> Bound[Any]:
    if bound.url is not None:
        if not _URL.fullmatch(bound.url):
            raise DefinitionError([_not_a_url(bound)])
        return bound  # what it depends on is its own business
    # One `depends` below itself, and not one class: what is bound by hand has an end, as a list of links has.
    if (first := next((place for place, each in enumerate(above) if each is bound), None)) is not None:
        raise DefinitionError([_circle(tuple(each.service for each in (*above[first:], bound)))])
    above = (*above, bound)

    def inside(value: Any) -> Any:
        return _resolved(value, above) if isinstance(value, Bound) else value

    args = [Dependency.bound_of(each) or each for each in bound.args]
    kwargs = {name: Dependency.bound_of(each) or each for name, each in bound.kwargs.items()}
    attributes = {**_attributes(bound), **bound.attributes}
    for name in attributes:
        if isinstance(kwargs.get(name), Bound):  # `bind` names another service for an attribute
            attributes[name] = kwargs[name]
            if name not in (constructor_parameters(bound.service) or {}):  # of a dataclass it is both
                del kwargs[name]
    return replace(
        bound,
        args=tuple(inside(each) for each in args),
        kwargs={name: inside(each) for name, each in {**_defaults(bound), **kwargs}.items()},
        attributes={name: inside(each) for name, each in attributes.items()},
    )


def _defaults(bound: Bound[Any]) -> dict[str, Bound[Any]]:
    """The dependencies that are defaults of constructor parameters, where `bind` was given nothing else."""
    parameters = constructor_parameters(bound.service) or {}
    left = list(parameters.values())[len(bound.args) :]
    found = {each.name: Dependency.bound_of(each.default) for each in left}
    return {name: each for name, each in found.items() if each is not None}


def _attributes(bound: Bound[Any]) -> dict[str, Bound[Any]]:
    """The dependencies that are attributes of the class."""
    values = {name: value for base in reversed(bound.service.__mro__) for name, value in vars(base).items()}
    found = {name: Dependency.bound_of(value) for name, value in values.items()}
    return {name: each for name, each in found.items() if each is not None}


_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def _not_a_url(bound: Bound[Any]) -> Mistake:
    name = bound.service.__name__
    return Mistake(
        "HR20",
        f"depends({name}, url={bound.url!r}) is not the address of a service",
        None,
        "It is called over HTTP.",
        f'depends({name}, url="http://127.0.0.1:8001")',
    )


def _circle(services: tuple[type, ...]) -> Mistake:
    names = " -> ".join(each.__name__ for each in services)
    return Mistake(
        "HR20",
        f"services depend on each other in a circle: {names}",
        place_of_class(services[0]),
        "Each is started after those that it depends on, so none could be the first.",
        f"depends({services[1].__name__}, url=...)  # or a third service that both depend on",
    )
