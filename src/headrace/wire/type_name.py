"""The name of a type as its author would write it: what error messages and documents call it."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin


def type_name(annotation: Any) -> str:
    """`Token`, `list[int]`, `Token | None`, `Literal['a', 'b']`: without modules and without metadata."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is ...:
        return "..."
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(repr(argument) for argument in arguments)}]"
    if origin is Union or origin is types.UnionType:
        return " | ".join(type_name(argument) for argument in arguments)
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{', '.join(type_name(argument) for argument in annotation)}]"
    if arguments:
        return f"{type_name(origin)}[{', '.join(type_name(argument) for argument in arguments)}]"
    return str(getattr(annotation, "__name__", annotation))
