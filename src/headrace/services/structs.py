"""msgspec Structs as parameters. Loaded always, it needs msgspec only where somebody else has imported it.

pydantic does the checking of arguments and has no schema for a Struct. A parameter made of Structs becomes one that
pydantic hands over whole, and msgspec converts.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, SchemaError, core_schema

from headrace.wire.codec import codec_for

ERROR_TYPE = "struct_invalid"
"""The type of the errors that come from here; their context has the `path` inside the parameter."""


@dataclass(frozen=True, slots=True)
class StructType:
    """The metadata that lets pydantic pass a value to msgspec."""

    annotation: Any
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A schema that takes anything and converts it."""
        return core_schema.no_info_plain_validator_function(self._convert)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """Nothing yet: the definitions of msgspec do not go through pydantic (see `Arguments.schema`)."""
        return {}

    def _convert(self, value: Any) -> Any:
        import msgspec

        try:
            return msgspec.convert(value, self.annotation)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).replace("`", "").partition(" - at ")
            raise PydanticCustomError(ERROR_TYPE, "{reason}", {"reason": reason, "path": _steps(place)}) from None


def struct_annotation(annotation: Any) -> Any:
    """The annotation as pydantic can take it: marked with a `StructType` if it holds Structs, else as it is."""
    if "msgspec" not in sys.modules:
        return annotation
    from headrace.wire.struct_codec import StructCodec

    try:
        codec = codec_for(annotation)
    except (TypeError, SchemaError):
        return annotation  # neither of the two can check it; pydantic says why
    return Annotated[Any, StructType(annotation, codec.schema())] if isinstance(codec, StructCodec) else annotation


def struct_type(annotation: Any) -> StructType | None:
    """What `struct_annotation` has marked an annotation with."""
    return next((each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, StructType)), None)


def builtins_of(value: Any) -> Any:
    """A Struct as JSON has it; raises TypeError for what is none."""
    msgspec = sys.modules.get("msgspec")
    if msgspec is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return msgspec.to_builtins(value)


def _steps(place: str) -> list[str]:
    """`$.items[2].name` in parts; `[...]` is the key of a dict, which msgspec does not tell, and ends the path."""
    steps = []
    for step in re.findall(r"\.([^.\[]+)|\[([^\]]*)\]", place.removeprefix("$").removeprefix("key in")):
        name = step[0] or step[1]
        if name == "...":
            break
        steps.append(name)
    return steps
