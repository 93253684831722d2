import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from headrace.services.structs import builtins_of, struct_annotation, struct_type


class Size(msgspec.Struct):
    width: int
    height: int = 1


class Plain(BaseModel):
    width: int


@pytest.mark.parametrize("annotation", [int, list[Plain], dict[str, Any], Callable, "Name"])
def test_an_annotation_without_structs_stays_as_it_is(annotation: Any) -> None:
    assert struct_annotation(annotation) is annotation


@pytest.mark.parametrize(
    ("annotation", "value", "converted"),
    [
        (Size, {"width": 2}, Size(2)),
        (list[Size], [{"width": 2, "height": 3}], [Size(2, 3)]),
        (Size | None, None, None),
        (dict[str, Size], {"a": {"width": 2}}, {"a": Size(2)}),
    ],
)
def test_structs_are_made_from_what_json_holds(annotation: Any, value: Any, converted: Any) -> None:
    assert TypeAdapter(struct_annotation(annotation)).validate_python(value) == converted


def test_a_value_that_is_no_struct_is_an_error_of_pydantics_kind() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(struct_annotation(list[Size])).validate_python([{"width": "wide"}])
    (error,) = caught.value.errors()
    assert (error["type"], error["msg"]) == ("struct_invalid", "Expected int, got str")
    assert error["ctx"]["path"] == ["0", "width"]


def test_the_schema_of_a_struct_is_msgspecs() -> None:
    found = struct_type(struct_annotation(Size))
    assert found is not None
    assert found.schema["$defs"]["Size"]["required"] == ["width"]


def test_other_annotations_have_no_struct_type() -> None:
    assert struct_type(int) is None


def test_a_struct_is_told_as_json() -> None:
    assert builtins_of(Size(1)) == {"width": 1, "height": 1}


def test_what_is_no_struct_has_no_json_here() -> None:
    with pytest.raises(TypeError):
        builtins_of(object())


def test_without_msgspec_nothing_of_it_is_needed() -> None:
    code = (
        "import sys; from headrace.services.structs import builtins_of, struct_annotation\n"
        "assert struct_annotation(int) is int and 'msgspec' not in sys.modules\n"
        "try: builtins_of(object())\n"
        "except TypeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "object is not JSON\n"
