"""What a service is constructed with: the parameters of its `__init__`, and the mistakes in what `bind` was given.

Nothing is constructed to find them.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from headrace.errors import Mistake, Place
from headrace.services.decorators import Bound
from headrace.services.mistakes import place_of, place_of_class

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def constructor_parameters(service: type) -> Mapping[str, inspect.Parameter] | None:
    """The parameters of the constructor, without `self`; None when nobody can tell them."""
    try:
        return inspect.signature(service).parameters
    except (ValueError, TypeError):  # a class whose constructor is not written in Python
        return None


def constructor(service: type) -> Any:
    """The function that constructs: `__init__`, inherited or not."""
    return inspect.getattr_static(service, "__init__")


def constructor_place(service: type, parameter: str = "") -> Place | None:
    """Where the constructor, or one of its parameters, is written; the class itself when it has none of its own."""
    return place_of(constructor(service), parameter) or place_of_class(service)


def constructor_mistakes(bound: Bound[Any]) -> list[Mistake]:
    """HR12 for what the constructor needs and was not given, and for what it was given and does not take."""
    parameters = constructor_parameters(bound.service)
    if parameters is None:
        return []
    kinds = {each.kind for each in parameters.values()}
    by_position = [name for name, each in parameters.items() if each.kind in _BY_POSITION]
    by_name = [name for name, each in parameters.items() if each.kind in _BY_NAME]
    given = set(by_position[: len(bound.args)])
    mistakes: list[Mistake] = []
    if len(bound.args) > len(by_position) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        mistakes.append(_too_many(bound, by_position))
    for name in bound.kwargs:
        if name in given and name in by_name:
            mistakes.append(_twice(bound, name))
        elif name not in by_name and inspect.Parameter.VAR_KEYWORD not in kinds:
            mistakes.append(_unknown(bound, name, by_name))
    missing = [
        name
        for name, each in parameters.items()
        if each.default is each.empty and each.kind in (*_BY_POSITION, *_BY_NAME)
        if name not in given and name not in bound.kwargs
    ]
    if missing:
        mistakes.append(_missing(bound, missing))
    return mistakes


def _missing(bound: Bound[Any], names: list[str]) -> Mistake:
    service = bound.service.__name__
    quoted = [f'"{name}"' for name in names]
    listed = " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    already = ["..."] * bool(bound.args or bound.kwargs)
    return Mistake(
        "HR12",
        f"{service} needs {listed}: bind {'it' if len(names) == 1 else 'them'}",
        constructor_place(bound.service, names[0]),
        f"The constructor has no default for {'it' if len(names) == 1 else 'them'}, and nobody else knows a value.",
        f"app = {service}.bind({', '.join(already + [f'{name}=...' for name in names])})",
    )


def _unknown(bound: Bound[Any], name: str, known: list[str]) -> Mistake:
    service = bound.service.__name__
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'. Did you mean "{close[0]}"?' if close else ""
    takes = f"It takes {', '.join(known)}." if known else "It takes no arguments."
    kept = [f"{each}=..." for each in (*bound.kwargs, *close) if each in known]
    fix = f"app = {service}.bind({', '.join(kept)})"
    return Mistake("HR12", f'{service}.__init__ has no "{name}"{hint}', constructor_place(bound.service), takes, fix)


def _too_many(bound: Bound[Any], names: list[str]) -> Mistake:
    service, count = bound.service.__name__, len(bound.args)
    takes = (
        f"{len(names)} argument{'' if len(names) == 1 else 's'} by position" if names else "no arguments by position"
    )
    return Mistake(
        "HR12",
        f"{service}.__init__ takes {takes}, and bind was given {count}",
        constructor_place(bound.service),
        "bind passes its arguments on as they are.",
        f"app = {service}.bind({', '.join(f'{name}=...' for name in names)})",
    )


def _twice(bound: Bound[Any], name: str) -> Mistake:
    service = bound.service.__name__
    return Mistake(
        "HR12",
        f'{service}.bind was given "{name}" twice, by position and by name',
        constructor_place(bound.service, name),
        "A parameter has one value.",
        f"app = {service}.bind({name}=...)",
    )
