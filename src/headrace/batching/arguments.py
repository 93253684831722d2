"""Turns the arguments of single calls into the lists that a batched function takes: one list per parameter.

A call binds as a call of the function itself would, its defaults included, so a batch has a value of every parameter
for every member.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from typing import Any

_STARS = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


class Parameters:
    """The parameters of a batched function, without `self`."""

    def __init__(self, name: str, parameters: Iterable[Parameter]) -> None:
        """Raises TypeError where they cannot be lists, or where there is none."""
        self._name = name
        self._signature = inspect.Signature(list(parameters))
        self._names = tuple(self._signature.parameters)
        kinds = [each.kind for each in self._signature.parameters.values()]
        self._positional = Parameter.KEYWORD_ONLY not in kinds
        for each in self._signature.parameters.values():
            if each.kind in _STARS:
                stars = _STARS[each.kind] + each.name
                raise TypeError(f"{name}({stars}) cannot be batched: name each parameter; it becomes a list of values")
        if not kinds:
            raise TypeError(f"{name}() cannot be batched: it needs a parameter, the list of what each caller passes")

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> Parameters:
        """Those of a plain function."""
        return cls(name, inspect.signature(function).parameters.values())

    def of_method(self) -> Parameters:
        """The same without the first one."""
        return Parameters(self._name, list(self._signature.parameters.values())[1:])

    def values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The value of each parameter in one call.

        Raises:
            TypeError: they do not fit.
        """
        if not kwargs and self._positional and len(args) == len(self._names):
            return args
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._name}{self._signature}: {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments[name] for name in self._names)

    def lists(self, calls: Iterable[tuple[Any, ...]]) -> tuple[list[list[Any]], dict[str, list[Any]]]:
        """The arguments for one batch of calls: the positional ones, and those by name."""
        columns = [list(column) for column in zip(*calls, strict=True)]
        if self._positional:
            return columns, {}
        args, kwargs = [], {}
        for parameter, column in zip(self._signature.parameters.values(), columns, strict=True):
            if parameter.kind is Parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = column
            else:
                args.append(column)
        return args, kwargs
