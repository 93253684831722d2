"""`--set Chat.temperature=0.2`: constructor arguments from the command line.

The key is `Class.parameter`, the value a text. It is read as JSON where it is JSON and the parameter's type wants that,
otherwise as it stands, and checked by the annotation of the parameter.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from headrace.errors import DefinitionError, Mistake
from headrace.services.arguments import UNCHECKABLE
from headrace.services.constructor import constructor, constructor_parameters, constructor_place
from headrace.services.decorators import Bound
from headrace.services.dependencies import every, resolved
from headrace.services.example import example_of
from headrace.services.refusals import shortened
from headrace.wire.annotations import plain, resolve, type_text

_VALUE_CHARACTERS = 60
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def configured(bound: Bound[Any], assignments: Mapping[str, str]) -> Bound[Any]:
    """The service with some of its constructor arguments replaced.

    A service that another one depends on is reached by its own class.

    Args:
        bound: stays as it is.
        assignments: texts by `Class.parameter`.

    Raises:
        DefinitionError: HR19, with all assignments that do not fit.
    """
    mistakes: list[Mistake] = []
    bound = resolved(bound)
    for key, text in assignments.items():
        try:
            bound = _assigned(bound, key, text)
        except DefinitionError as error:
            mistakes += error.mistakes
    if mistakes:
        raise DefinitionError(mistakes)
    return bound


def _assigned(bound: Bound[Any], key: str, text: str) -> Bound[Any]:
    name, dot, parameter = key.partition(".")
    if not (name and dot and parameter):
        raise _mistake(f'--set "{shortened(key, 80)}" is not Class.parameter=value', "", _usage(bound, key))
    services = {each.service.__name__: each.service for each in reversed(list(every(bound))) if each.url is None}
    if name not in services:
        what = f'there is no service "{shortened(name, 80)}" here{_hint(name, list(services))}'
        raise _mistake(what, f"The services are {', '.join(services)}.", _usage(bound, key))
    return _replaced(bound, services[name], parameter, _value(services[name], parameter, text))


def _replaced(bound: Bound[Any], service: type, parameter: str, value: Any) -> Bound[Any]:
    """The same tree of services with one argument changed, everywhere the class stands in it."""

    def inside(argument: Any) -> Any:
        return _replaced(argument, service, parameter, value) if isinstance(argument, Bound) else argument

    args = [inside(each) for each in bound.args]
    kwargs = {name: inside(each) for name, each in bound.kwargs.items()}
    attributes = {name: inside(each) for name, each in bound.attributes.items()}
    if bound.service is service:
        names = list(constructor_parameters(service) or ())
        if parameter in names[: len(args)]:
            args[names.index(parameter)] = value
        else:
            kwargs[parameter] = value
    return replace(bound, args=tuple(args), kwargs=kwargs, attributes=attributes)


def _value(service: type, parameter: str, text: str) -> Any:
    parameters = constructor_parameters(service) or {}
    named = {name: each for name, each in parameters.items() if each.kind not in _STARRED}
    if parameter not in named:
        if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            return _read(TypeAdapter(Any), Any, text)
        hint = _hint(parameter, list(named))
        why = f"It takes {', '.join(named)}." if named else "It takes no arguments."
        what = f'{service.__name__}.__init__ has no "{shortened(parameter, 80)}"{hint}'
        raise _mistake(what, why, _example(service, named, parameter), service)
    try:
        annotation = _annotation(service, named[parameter])
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (*UNCHECKABLE, AttributeError):
        raise _mistake(
            f"{service.__name__}.{parameter} cannot be set from a text",
            f"A text cannot become {type_text(named[parameter].annotation)}.",
            f"app = {service.__name__}.bind({parameter}=...)",
            service,
            parameter,
        ) from None
    try:
        return _read(adapter, annotation, text)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise _mistake(
            f"{service.__name__}.{parameter} is {type_text(annotation)}, not {shortened(text, _VALUE_CHARACTERS)!r}",
            shortened(reason, 150) + ".",
            f"--set {service.__name__}.{parameter}={_fitting(adapter, named[parameter])}",
            service,
            parameter,
        ) from None


def _annotation(service: type, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    return resolve(parameter.annotation, constructor(service), service)


def _read(adapter: TypeAdapter[Any], annotation: Any, text: str) -> Any:
    if plain(annotation) is not str:
        try:
            return adapter.validate_json(text, strict=True)
        except ValidationError:
            pass
    try:
        return adapter.validate_python(text)
    except ValidationError:
        if not _is_json(text):
            raise  # explained as the text that it is
        return adapter.validate_json(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _fitting(adapter: TypeAdapter[Any], parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value in (parameter.empty, None):
        try:
            value = example_of(adapter.json_schema())
        except UNCHECKABLE:
            return "..."
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError):
        return "..."
    return text if text.isalnum() or text.replace(".", "").replace("-", "").isalnum() else f"'{text}'"


def _usage(bound: Bound[Any], key: str) -> str:
    parameters = constructor_parameters(bound.service) or {}
    named = [name for name, each in parameters.items() if each.kind not in _STARRED]
    return _example(bound.service, named, key.rpartition(".")[2])


def _example(service: type, parameters: Iterable[str], meant: str) -> str:
    """An assignment that is possible, of the parameter that was likely meant."""
    close = [*difflib.get_close_matches(meant, list(parameters), n=1), *parameters]
    return f"--set {service.__name__}.{close[0]}=..." if close else f"app = {service.__name__}.bind()"


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f'. Did you mean "{close[0]}"?' if close else ""


def _mistake(what: str, why: str, fix: str, service: type | None = None, parameter: str = "") -> DefinitionError:
    place = constructor_place(service, parameter) if service is not None else None
    return DefinitionError([Mistake("HR19", what, place, why, fix)])
