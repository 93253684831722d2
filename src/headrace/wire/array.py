"""Arrays of numpy as items, headers, footers, and anywhere inside them.

`Array`, or `Array[np.float32]` for one type of number, is an annotation for fields, containers and items; a bare
`np.ndarray` or `NDArray[...]` does as the item, the header or the footer itself. In JSON an array is

    {"dtype": "<f4", "shape": [2, 3], "data": "<base64, RFC 4648, section 4>"}

and in binary frames its numbers stand beside the JSON (`segments`), which has `"segment": 0` in the place of `"data"`.
The numbers are in C order; `dtype` is numpy's own text for them. NaN and the infinities are fine in here. Only numbers
and booleans travel: objects would need pickle, and structures, text and dates have better forms in JSON.

Arrays that were read are views of what came, and read-only: copy one to change it.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeVar

from headrace.wire.model_codec import ModelCodec
from headrace.wire.segments import Segments

MAX_DIMENSIONS = 64  # numpy's own limit

DTYPES = frozenset(
    ["|b1", "|i1", "|u1"]
    + [
        order + number
        for order in "<>"
        for number in ("i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8", "c8", "c16")
    ]
)
"""What may stand in `dtype`. numpy is never asked what a text from a socket means."""

_UNSENDABLE = (np.flexible, np.object_, np.datetime64, np.timedelta64)


class ArraySchema:
    """What makes pydantic take an array: the metadata of `Array`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Takes an array, or the object that stands for one; writes the object."""
        expected = _number_type(source)
        return core_schema.with_info_plain_validator_function(
            partial(_validate, expected),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, when_used="json", return_schema=core_schema.any_schema()
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The object as JSON has it."""
        return {
            "type": "object",
            "required": ["dtype", "shape", "data"],
            "properties": {
                "dtype": {"type": "string", "enum": sorted(DTYPES)},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": MAX_DIMENSIONS},
                "data": {"type": "string", "contentEncoding": "base64"},
            },
        }


ScalarT = TypeVar("ScalarT", bound=np.generic, default=Any)

Array: TypeAlias = Annotated[NDArray[ScalarT], ArraySchema()]


class ArrayCodec(ModelCodec):
    """Arrays that are the item, the header or the footer themselves."""

    def __init__(self, annotation: Any) -> None:
        """Makes the schema of `np.ndarray`, `NDArray[...]` or `Array`.

        Raises:
            TypeError: arrays of this type cannot be sent.
        """
        super().__init__(Annotated[annotation, ArraySchema()])
        expected = _number_type(annotation)
        self.name = "Array" if expected is np.generic else f"Array[{expected.__name__}]"


def find_arrays(value: Any, segments: Segments) -> Any:
    """JSON with every object that refers to a segment replaced by its array, for readers that know no types.

    Raises:
        ValueError: a reference makes no array.
    """
    if isinstance(value, list):
        return [find_arrays(member, segments) for member in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"dtype", "shape", "segment"}:
        return read_array(value, segments)
    return {name: find_arrays(member, segments) for name, member in value.items()}


def read_array(members: Mapping[str, Any], segments: Segments | None) -> NDArray[Any]:
    """The array that a JSON object stands for, without a copy of its numbers; raises ValueError."""
    place = "segment" if "segment" in members else "data"
    if members.keys() != {"dtype", "shape", place}:
        raise _refusal("an object that is not {dtype, shape, data}")
    dtype, shape = members["dtype"], members["shape"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _refusal(f"the dtype {str(dtype)[:20]!r}, expected one of numbers or booleans, <f4 for instance")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(map(_is_length, shape)):
        raise _refusal(f"a shape that is not a list of at most {MAX_DIMENSIONS} lengths")
    data = _data(members["data"]) if place == "data" else _segment(members["segment"], segments)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != size:
        raise _refusal(f"{len(data)} bytes of numbers where the shape and the dtype {dtype} say otherwise")
    try:
        return np.ndarray(shape, dtype, data)
    except ValueError as error:  # a shape that is empty in one dimension and mad in others
        raise _refusal(f"a shape that numpy does not take ({error})") from error


def _validate(expected: type[np.generic], value: Any, info: core_schema.ValidationInfo) -> NDArray[Any]:
    if isinstance(value, dict):
        value = read_array(value, info.context if isinstance(info.context, Segments) else None)
    _check(value)
    if not issubclass(value.dtype.type, expected):
        raise _refusal(f"an array of {value.dtype.name}, expected {expected.__name__}: convert it with astype")
    array: NDArray[Any] = value
    return array


def _serialize(value: Any, info: core_schema.SerializationInfo) -> dict[str, Any]:
    _check(value)
    numbers = np.asarray(value, order="C").reshape(-1).view(np.uint8).data
    members = {"dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(info.context, Segments):
        return {**members, "segment": info.context.add(numbers, value)}
    return {**members, "data": base64.b64encode(numbers).decode("ascii")}


def _check(value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise _refusal(f"{type(value).__name__}, expected an array of numpy")
    if isinstance(value, np.ma.MaskedArray):
        raise _refusal("a masked array: fill it first, its mask cannot be sent")
    if value.dtype.str not in DTYPES:
        raise _refusal(f"an array of {value.dtype.name}: only booleans and numbers of the usual sizes can be sent")


def _number_type(annotation: Any) -> type[np.generic]:
    """The type of number that an annotation asks for; `np.generic` where it takes any."""
    for argument in get_args(annotation):
        if isinstance(argument, type) and issubclass(argument, np.generic):
            if issubclass(argument, _UNSENDABLE):
                raise TypeError(f"arrays of {argument.__name__} cannot be sent, only numbers and booleans")
            return argument
        found = _number_type(argument)
        if found is not np.generic:
            return found
    return np.generic


def _data(text: Any) -> bytes:
    if not isinstance(text, str):
        raise _refusal(f"{type(text).__name__} for the data of an array, expected a string in base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _refusal(f"data of an array that is not base64 ({error})") from error


def _segment(number: Any, segments: Segments | None) -> memoryview:
    try:
        if segments is not None and type(number) is int:
            return segments.take(number)
    except LookupError:
        pass
    raise _refusal("a reference to an array that did not come with it")


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value <= sys.maxsize


def _refusal(reason: str) -> PydanticCustomError:
    return PydanticCustomError("array", "{reason}", {"reason": reason})
