"""What an endpoint takes: its parameters become `Arguments`, or mistakes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from headrace.services.arguments import UNCHECKABLE, Arguments, BodyParameter, body_parameter, why_uncheckable
from headrace.services.method import Method, Unreadable, default_text, parameter_text
from headrace.wire.annotations import ASYNC_FORMS, is_stream_form, plain, type_text

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def takes_self(method: Method) -> bool:
    """Notes HR18 when the first parameter is not `self`; False when the parameters cannot be read at all."""
    parameters = list(method.signature.parameters.values())
    texts = ", ".join(map(parameter_text, parameters))
    if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        method.mistake(
            "HR18",
            f"{method.label}({texts}): the parameters are hidden",
            "A decorator that passes on *args needs functools.wraps, so that the method's own parameters are seen.",
            "@functools.wraps(function)\ndef wrapper(*args, **kwargs):",
        )
        return False
    if not parameters or parameters[0].name.lstrip("_") != "self":
        method.mistake(
            "HR18",
            f"{method.label} has no self",
            "An endpoint is called on the service's instance.",
            method.first_line(", ".join(filter(None, ["self", texts]))),
        )
    return True


def own_parameters(method: Method) -> list[inspect.Parameter]:
    """The parameters without `self`."""
    parameters = list(method.signature.parameters.values())
    return parameters[1:] if parameters and parameters[0].name.lstrip("_") == "self" else parameters


def read_arguments(method: Method, parts: Sequence[str] = ()) -> Arguments | None:
    """The arguments; None, and mistakes, when a request could not fill them.

    Args:
        method: the endpoint's. Where it has a dialect, that fills all of them, so only a call from other code does not.
        parts: of the path, by name. They become the arguments of these names.
    """
    before = len(method.mistakes)
    filled = () if method.options.dialect is not None else parts
    in_path: list[inspect.Parameter] = []
    ordinary: list[inspect.Parameter] = []
    body: BodyParameter | None = None
    for parameter in own_parameters(method):
        if not _is_named(method, parameter):
            continue
        taken = _body(method, parameter)
        if taken is None:
            (in_path if parameter.name in filled else ordinary).append(parameter)
        elif parameter.name in filled:
            _no_part(method, parameter.name)
        elif body is None:
            body = taken
        else:
            method.mistake(
                "HR18",
                f"{method.label}({parameter.name}): {body.name} already takes the body",
                "A request has one body.",
                f"{parameter.name}: str  # from the query",
                parameter.name,
            )
    _check_parts(method, filled)
    path = _checked(method, in_path, None) if in_path else None
    arguments = _checked(method, ordinary, body, path)
    for name in () if path is None else path.unfit_for_query():
        _no_part(method, name)
    if arguments is not None and method.options.dialect is None:
        _check_query(method, arguments, body)
    return None if len(method.mistakes) > before else arguments


def _check_parts(method: Method, parts: Sequence[str]) -> None:
    """HR17: a part of the path that is nobody's argument."""
    names = [parameter.name for parameter in own_parameters(method)]
    for part in parts:
        if part not in names:
            close = difflib.get_close_matches(part, names, n=1)
            path = str(method.options.path)
            method.mistake(
                "HR17",
                f"{method.label} is served at {path} and has no parameter {part}",
                "A named part of the path becomes the argument of that name.",
                f'@endpoint(path="{path.replace("{" + part, "{" + close[0])}")'
                if close
                else method.first_line(f"self, {part}: str"),
            )


def _no_part(method: Method, name: str) -> None:
    method.mistake(
        "HR18",
        f"{method.label}({name}) comes from the path and is not a scalar",
        "A part of a path is text, which becomes a number or the like.",
        f"{name}: str",
        name,
    )


def _is_named(method: Method, parameter: inspect.Parameter) -> bool:
    """Whether a request can fill the parameter: it has a name, and a type to check the value by."""
    name = parameter.name
    if parameter.annotation is Unreadable:
        return False
    if parameter.kind not in _BY_NAME:
        method.mistake(
            "HR18",
            f"{method.label}({parameter_text(parameter)}): a request cannot fill this kind of parameter",
            "Arguments come by name, each with its own type.",
            method.first_line("self, topic: str, lines: int = 4"),
            name,
        )
        return False
    if parameter.annotation is parameter.empty:
        method.mistake(
            "HR05",
            f"{method.label}({name}): add a type, e.g. {name}: str",
            "It becomes the check, the docs and the form.",
            f"{name}: str",
            name,
        )
        return False
    if isinstance(parameter.default, FieldInfo):
        default = parameter.default.default
        value = "" if default in (PydanticUndefined, ...) else f" = {default_text(default)}"
        method.mistake(
            "HR18",
            f"{method.label}({name}): its default is a Field",
            "Only pydantic's models understand that; the method would be called with the Field itself.",
            f"{name}: Annotated[{type_text(parameter.annotation)}, Field(...)]{value}",
            name,
        )
        return False
    return True


def _body(method: Method, parameter: inspect.Parameter) -> BodyParameter | None:
    """The parameter as the one that takes the body; None when it is an ordinary one."""
    name, annotation = parameter.name, plain(parameter.annotation)
    if not is_stream_form(get_origin(annotation) or annotation):
        body = body_parameter(parameter)
        if body is not None and any(not isinstance(each, str) for each in _metadata(parameter.annotation)):
            method.mistake(
                "HR18",
                f"{method.label}({name}): a body of bytes is taken as it comes and has no constraints",
                "Nothing looks into it; --max-body is the limit of its size.",
                f"{name}: bytes",
                name,
            )
        return body
    origin = get_origin(annotation) or annotation
    form, kind = (
        (AsyncIterator, "an AsyncIterator in an async def") if method.is_async else (Iterator, "an Iterator in a def")
    )
    item = type_text((get_args(annotation) or (bytes,))[0])
    why, fix = "A def waits for it on a thread of its own, with `for`.", f"{name}: Iterator[{item}]"
    if method.is_async:
        why = "The body arrives on the event loop, where only async code can wait for it."
        fix = method.first_line(f"self, {name}: AsyncIterator[{item}]")
    try:
        body = body_parameter(parameter)
    except UNCHECKABLE as error:
        body, why, fix = None, why_uncheckable(error), f"{name}: {form.__name__}[bytes]"
    if body is not None and origin is form:
        return body
    if origin not in (*ASYNC_FORMS, form):
        why += " Values of the JSON body come as a list."
        fix = f"{name}: list[{item}]"
    method.mistake("HR18", f"{method.label}({name}): a body that is read as it arrives is {kind}", why, fix, name)
    return BodyParameter(name, None)


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _checked(
    method: Method, parameters: list[inspect.Parameter], body: BodyParameter | None, path: Arguments | None = None
) -> Arguments | None:
    try:
        return Arguments(method.name, parameters, body, path)
    except TypeError as error:
        if len(parameters) == 1:
            _uncheckable(method, parameters[0], str(error))
            return None
    before = len(method.mistakes)
    for parameter in parameters:
        _checked(method, [parameter], None)
    if len(method.mistakes) == before:  # each alone is well, so two of them do not go together
        _uncheckable(method, parameters[0], "the types of the parameters do not go together")
    return None


def _uncheckable(method: Method, parameter: inspect.Parameter, reason: str) -> None:
    annotation = plain(parameter.annotation)
    fix = "@dataclass\nclass Options:"
    if isinstance(annotation, type):
        is_theirs = annotation.__module__ != "builtins"
        fix = f"@dataclass\nclass {annotation.__name__}:" if is_theirs else f"{parameter.name}: {annotation.__name__}"
    method.mistake(
        "HR18",
        f"{method.label}({parameter.name}): {type_text(parameter.annotation)} cannot be checked: {reason}",
        "A parameter is a scalar, a pydantic model, a dataclass, a TypedDict, a msgspec Struct, a dict or a list.",
        fix,
        parameter.name,
    )


def _check_query(method: Method, arguments: Arguments, body: BodyParameter | None) -> None:
    gets = "GET" in method.options.methods
    if body is not None and gets:
        method.mistake(
            "HR18",
            f"{method.label}({body.name}) takes the body, and GET has none",
            "A GET request carries its arguments in the query.",
            '@endpoint(methods=("POST",))',
            body.name,
        )
    if body is None and not gets:
        return
    for name in arguments.unfit_for_query():
        method.mistake(
            "HR18",
            f"{method.label}({name}) comes from the query and is not a scalar",
            f"{body.name} takes the body, so the others come from the query." if body else "GET has only a query.",
            f"{name}: str" if body else '@endpoint(methods=("POST",))',
            name,
        )
