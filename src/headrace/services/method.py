"""One method that `@endpoint` has marked, as it stands in the user's file: its kind, its signature, its mistakes."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Any

from headrace.batching.continuous import ContinuousBatched
from headrace.batching.dynamic import Batched
from headrace.errors import Mistake
from headrace.services.decorators import EndpointOptions, NoMethod
from headrace.services.mistakes import RETURN, place_of, place_of_class
from headrace.wire.annotations import read_stream, resolve, type_text

DEFAULT_CHARACTERS = 40


class Unreadable:
    """Stands for an annotation that could not be read: its mistake is noted, and nothing more can be said of it."""


class Method:
    """A marked method, and the mistakes that were found in it so far.

    Attributes:
        label: `Service.method`.
        function: the user's own function, below all decorators.
        yields: whether calling it gives an iterator: of its own, or one that is made elsewhere.
        is_async: whether it runs on the event loop.
        signature: with types for annotations, `Unreadable` where one could not be read.
        mistakes: in the order in which they were found.
    """

    def __init__(self, owner: type, name: str, marked: Callable[..., Any], options: EndpointOptions) -> None:
        self.label = f"{owner.__name__}.{name}"
        self.name = name
        self.options = options
        self.function = inspect.unwrap(marked)
        self.mistakes: list[Mistake] = []
        self.yields, self.is_async = _kind(marked)
        self._word = "async def" if self.is_async else "def"
        self._owner = owner
        self.signature = self._resolved(inspect.signature(marked))
        if not (self.yields or self.is_async) and _is_async_stream(self.signature.return_annotation):
            self.yields = self.is_async = True

    def first_line(self, parameters: str, returns: str = "") -> str:
        """Its first line, with other parameters, or with another return type than its own."""
        annotation = self.signature.return_annotation
        if not returns and annotation not in (inspect.Signature.empty, Unreadable):
            returns = type_text(annotation)
        arrow = f" -> {returns}" if returns else ""
        return f"{self._word} {self.name}({parameters}){arrow}:"

    def mistake(self, code: str, what: str, why: str, fix: str, word: str = "") -> None:
        """Notes a mistake; the caret goes to `word` (see `place_of`)."""
        self.mistakes.append(Mistake(code, what, place_of(self.function, word), why, fix))

    def _resolved(self, signature: inspect.Signature) -> inspect.Signature:
        parameters = [
            each.replace(annotation=self._type(each.name, each.annotation)) for each in signature.parameters.values()
        ]
        returned = self._type(RETURN, signature.return_annotation)
        return signature.replace(parameters=parameters, return_annotation=returned)

    def _type(self, name: str, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return annotation
        try:
            return resolve(annotation, self.function, self._owner)
        except Exception as error:  # annotations are the user's expressions: anything can come out
            self._unreadable(name, type_text(annotation), error)
            return Unreadable

    def _unreadable(self, name: str, text: str, error: Exception) -> None:
        missing = error.name if isinstance(error, NameError) else None
        why = "A type is an expression that is there when the service starts."
        fix = "-> AsyncIterator[str]" if name == RETURN else f"{name}: str"
        if missing:
            why = "A type is looked up in its module when the service starts, not in the function around the class."
            fix = f"from its_module import {missing}  # or define it; at the top of the file, not under TYPE_CHECKING"
        self.mistake(
            "HR05",
            f"{self.label}{'' if name == RETURN else f'({name})'}: the type {text} cannot be read: {error}",
            why,
            fix,
            name,
        )


def wrong_kind(owner: type, name: str, marked: Any) -> Mistake | None:
    """HR18 for what is marked and is no method: a staticmethod, a property, a lambda, a class."""
    if isinstance(marked, NoMethod):
        marked = marked.func
    if isinstance(marked, (Batched, ContinuousBatched)):
        return _batched(owner, name)
    inner = _inner(marked)
    kind = next((kind.__name__ for kind in _NOT_METHODS if isinstance(marked, kind)), "")
    if not kind and isinstance(marked, type):
        kind = "class"
    elif not kind and getattr(inner, "__name__", "") == "<lambda>":
        kind = "lambda"
    elif not kind and not inspect.isroutine(inner):
        kind = type(marked).__name__
    if not kind:
        return None
    return Mistake(
        "HR18",
        f"{owner.__name__}.{name} is a {kind}, not a method",
        place_of_class(marked) if isinstance(marked, type) else place_of(inner) if inspect.isroutine(inner) else None,
        "An endpoint is called on the service's instance, and its parameters carry types.",
        f"@endpoint\ndef {name}(self, topic: str) -> str:",
    )


def _batched(owner: type, name: str) -> Mistake:
    return Mistake(
        "HR18",
        f"{owner.__name__}.{name} is batched, and an endpoint at the same time",
        None,
        "An endpoint takes one request; what is batched takes all that came together.",
        f"@endpoint\nasync def ask(self, prompt: str) -> AsyncIterator[str]:\n"
        f"    async for text in self.{name}(prompt):\n        yield text",
    )


def parameter_text(parameter: inspect.Parameter) -> str:
    """A parameter as people write it: without module names and metadata."""
    text = _STARS.get(parameter.kind, "") + parameter.name
    if parameter.annotation not in (parameter.empty, Unreadable):
        text += f": {type_text(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {default_text(parameter.default)}" if ":" in text else f"={default_text(parameter.default)}"
    return text


def default_text(value: Any) -> str:
    """A default as people write it; `...` when that is long, or not for people."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name!s}"
    try:
        text = repr(value)
    except Exception:  # the user's own __repr__
        return "..."
    return text if len(text) <= DEFAULT_CHARACTERS and not text.startswith("<") else "..."


_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}

_NOT_METHODS = (
    functools.partial,
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
)


def _inner(marked: Any) -> Any:
    for name in ("fget", "func", "__func__"):
        marked = getattr(marked, name, None) or marked
    return inspect.unwrap(marked) if callable(marked) else marked


def _is_async_stream(annotation: Any) -> bool:
    """Whether a `def` without `yield` returns a stream: `def ask(self) -> AsyncIterator[str]: return self.decode()`."""
    try:
        stream = None if annotation is Unreadable else read_stream(annotation)
    except TypeError:  # told where the types are read
        return False
    return stream is not None and stream.is_async


def _kind(marked: Any) -> tuple[bool, bool]:
    """Whether calling it gives an iterator, and whether it is async.

    The outermost decorator that is a generator or async itself decides; one that passes on what it got decides nothing.
    """
    function = marked
    while function is not None:
        if inspect.isasyncgenfunction(function):
            return True, True
        if inspect.isgeneratorfunction(function):
            return True, False
        if inspect.iscoroutinefunction(function):
            return False, True
        function = getattr(function, "__wrapped__", None)
    return False, False
