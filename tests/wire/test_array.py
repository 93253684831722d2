import base64
import dataclasses
import json
import math
import subprocess
import sys
from typing import Annotated, Any, NotRequired

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from headrace.errors import InvalidItem
from headrace.wire.array import DTYPES, Array, ArrayCodec, ArraySchema, find_arrays, read_array
from headrace.wire.codec import codec_for
from headrace.wire.events import Event
from headrace.wire.segments import Segments, split_payload

NUMBERS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16)
IN_JSON = b'{"dtype":"<i2","shape":[2,3],"data":"AQACAAMABAAFAAYA"}'
BESIDE = (
    b"\x00\x00\x00\x01\x00\x00\x00\x2c\x00\x00\x00\x0c"
    b'{"dtype":"<i2","shape":[2,3],"segment":0}   '
    b"\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00"
)


class Sound(BaseModel):
    samples: Array[np.float32]
    more: list[Array] = []
    names: list[str] = []
    level: float = 0.0


@dataclasses.dataclass
class Picture:
    pixels: Array


class Row(TypedDict):
    values: Array
    mask: NotRequired[Array]


def same(read: Any, sent: Any) -> bool:
    return bool(read.dtype == sent.dtype and read.shape == sent.shape and read.tobytes() == sent.tobytes())


def reference(**changes: Any) -> dict[str, Any]:
    return {"dtype": "<f4", "shape": [2], "segment": 0} | changes


# -- types


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (np.ndarray, "Array"),
        (NDArray[Any], "Array"),
        (NDArray[np.float32], "Array[float32]"),
        (NDArray[np.floating], "Array[floating]"),
        (np.ndarray[tuple[int, int], np.dtype[np.int8]], "Array[int8]"),
        (Array, "Array"),
        (Array[np.uint8], "Array[uint8]"),
    ],
)
def test_an_array_alone_has_its_codec(annotation: Any, name: str) -> None:
    codec = codec_for(annotation)
    assert isinstance(codec, ArrayCodec)
    assert (codec.name, codec.kind) == (name, "json")


@pytest.mark.parametrize(
    "annotation", [NDArray[np.object_], NDArray[np.str_], NDArray[np.void], NDArray[np.datetime64], Array[np.bytes_]]
)
def test_arrays_that_can_never_be_sent_are_refused_when_they_are_declared(annotation: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent, only numbers and booleans"):
        codec_for(annotation)


def test_the_schema_is_the_object_in_json() -> None:
    schema = codec_for(Sound).schema()
    assert schema["properties"]["samples"]["required"] == ["dtype", "shape", "data"]
    assert schema["properties"]["samples"]["properties"]["data"] == {"type": "string", "contentEncoding": "base64"}


def test_numpy_is_not_imported_for_others() -> None:
    program = (
        "import sys, headrace, headrace.wire.typed\n"
        "from headrace.wire.codec import codec_for\ncodec_for(list[int])\nprint('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"


# -- forms


def test_in_json_an_array_is_an_object_with_base64() -> None:
    codec = codec_for(np.ndarray)
    assert codec.dumps(NUMBERS) == IN_JSON
    assert same(codec.loads(IN_JSON), NUMBERS)


def test_in_a_frame_its_numbers_stand_beside_the_json() -> None:
    codec = codec_for(np.ndarray)
    assert codec.pack(NUMBERS) == BESIDE
    assert same(codec.unpack(BESIDE), NUMBERS)


def test_a_frame_may_have_the_json_form_too() -> None:
    assert same(codec_for(np.ndarray).unpack(IN_JSON), NUMBERS)


@pytest.mark.parametrize(
    "sent",
    [
        np.array(2.5),
        np.zeros((0, 3)),
        np.zeros((3, 0, 2), dtype=np.complex64),
        np.array([True, False]),
        np.array([math.nan, math.inf, -math.inf, -0.0], dtype=np.float16),
        np.arange(3, dtype=">i4"),
        np.arange(12).reshape(3, 4).T,
        np.arange(12)[::-2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.broadcast_to(np.uint8(7), (2, 2)),
        np.array([1 + 2j], dtype=">c16"),
        np.zeros((1,) * 32, dtype=np.int8),
    ],
    ids=repr,
)
def test_every_array_of_numbers_comes_back_in_both_forms(sent: Any) -> None:
    codec = codec_for(Array)
    for read in (codec.loads(codec.dumps(sent)), codec.unpack(codec.pack(sent))):
        assert same(read, np.ascontiguousarray(sent).reshape(sent.shape))


@given(dtype=st.sampled_from(sorted(DTYPES)), shape=st.lists(st.integers(0, 4), max_size=4), fill=st.binary(min_size=1))
def test_whatever_the_numbers_are_they_come_back(dtype: str, shape: list[int], fill: bytes) -> None:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    sent = np.ndarray(shape, dtype, (fill * (size // len(fill) + 1))[:size])
    codec = codec_for(list[Array])
    for read in (codec.loads(codec.dumps([sent, sent])), codec.unpack(codec.pack([sent, sent]))):
        assert all(same(each, sent) for each in read)


def test_arrays_may_stand_anywhere_in_a_type() -> None:
    one, two = np.ones(3, np.float32), np.arange(2)
    sound = codec_for(Sound)
    for read in (
        sound.unpack(sound.pack(Sound(samples=one, more=[two, one]))),
        sound.loads(sound.dumps({"samples": one})),
    ):
        assert same(read.samples, one)
    picture, row = codec_for(Picture), codec_for(Row)
    assert same(picture.unpack(picture.pack(Picture(two))).pixels, two)
    assert same(row.unpack(row.pack({"values": two, "mask": one}))["mask"], one)
    several, maybe = codec_for(dict[str, tuple[Array, int]]), codec_for(Array | None)
    assert same(several.unpack(several.pack({"a": (two, 1)}))["a"][0], two)
    assert maybe.unpack(maybe.pack(None)) is None
    assert same(maybe.unpack(maybe.pack(two)), two)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (tuple[Array, int] | tuple[Array, str], (NUMBERS, "a")),
        (list[Array[np.float32]] | list[Array[np.int16]], [NUMBERS]),
        (dict[str, tuple[Array, int]] | dict[str, tuple[Array, None]], {"a": (NUMBERS, None)}),
    ],
)
def test_a_union_writes_an_array_once(annotation: Any, value: Any) -> None:
    codec = codec_for(annotation)
    data = codec.pack(value)
    assert split_payload(data)[1].unused == [0]
    assert repr(codec.unpack(data)) == repr(value)


def test_an_array_that_stands_in_two_places_is_written_once() -> None:
    codec = codec_for(list[Array])
    data = codec.pack([NUMBERS, NUMBERS])
    assert split_payload(data)[1].unused == [0]
    assert [same(read, NUMBERS) for read in codec.unpack(data)] == [True, True]


def test_an_event_may_carry_an_array() -> None:
    codec = codec_for(Event[Array])
    assert codec.pack(Event(NUMBERS)) == BESIDE
    assert same(codec.unpack(BESIDE).data, NUMBERS)


def test_a_float_beside_an_array_is_still_no_nan() -> None:
    codec = codec_for(Sound)
    for write in (codec.dumps, codec.pack):
        with pytest.raises(InvalidItem, match="NaN"):
            write(Sound(samples=np.array([math.nan], np.float32), level=math.nan))


def test_an_array_is_read_where_its_bytes_are() -> None:
    read = codec_for(np.ndarray).unpack(BESIDE)
    assert read.base is BESIDE
    assert read.flags.aligned
    assert not read.flags.writeable


def test_a_type_of_numbers_may_be_asked_for() -> None:
    codec = codec_for(NDArray[np.floating])
    assert codec.check(np.ones(1, np.float16)).dtype == np.float16
    with pytest.raises(InvalidItem, match="an array of int16, expected floating: convert it with astype"):
        codec.pack(NUMBERS)
    with pytest.raises(InvalidItem, match="an array of int16, expected floating"):
        codec.unpack(BESIDE)


def test_pydantic_alone_takes_the_annotation_too() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[np.ndarray, ArraySchema()])
    assert adapter.dump_json(NUMBERS) == IN_JSON
    assert same(adapter.validate_json(IN_JSON, context={"of": "the user"}), NUMBERS)
    assert same(adapter.validate_python(json.loads(IN_JSON)), NUMBERS)
    with pytest.raises(ValidationError, match="list, expected an array of numpy"):
        adapter.validate_python([1, 2])


# -- refusals


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1, 2], "list, expected an array of numpy"),
        (np.float32(1), "float32, expected an array of numpy"),
        (np.array([object()]), "an array of object: only booleans and numbers of the usual sizes can be sent"),
        (np.zeros(1, "i4,f4"), "an array of void64: only"),
        (np.array(["a"]), "an array of str32: only"),
        (np.array([b"a"]), "an array of bytes8: only"),
        (np.array(["2026-01-01"], "M8[D]"), r"an array of datetime64\[D\]: only"),
        (np.zeros(1, np.longdouble), "an array of .*: only"),
        (np.ma.array([1, 2], mask=[0, 1]), "a masked array: fill it first"),
    ],
)
def test_what_cannot_be_sent_is_refused(value: Any, reason: str) -> None:
    codec = codec_for(np.ndarray)
    for write in (codec.dumps, codec.pack, codec.check):
        with pytest.raises(InvalidItem, match=f"expected Array: {reason}"):
            write(value)


def test_a_field_that_was_changed_to_no_array_is_refused() -> None:
    sound = Sound(samples=np.ones(1, np.float32))
    sound.samples = [1.0]  # type: ignore[assignment]
    for write in (codec_for(Sound).dumps, codec_for(Sound).pack):
        with pytest.raises(InvalidItem, match="list, expected an array of numpy"):
            write(sound)


def test_a_value_that_is_written_twice_keeps_its_arrays_once() -> None:
    sound = Sound(samples=np.ones(2, np.float32), more=[np.arange(3)])
    sound.names = ("a",)  # type: ignore[assignment]  # the serializer doubts it: the value is written again to be sure
    data = codec_for(Sound).pack(sound)
    assert split_payload(data)[1].unused == [0, 1]
    assert same(codec_for(Sound).unpack(data).more[0], np.arange(3))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "an object that is not {dtype, shape, data}"),
        (reference(extra=1), "an object that is not {dtype, shape, data}"),
        (reference(data=""), "an object that is not {dtype, shape, data}"),
        (reference(dtype="O"), "the dtype 'O', expected one of numbers or booleans, <f4 for instance"),
        (reference(dtype="<f4,<f4"), "the dtype '<f4,<f4', expected"),
        (reference(dtype="(9999999,9999999)<f4"), "the dtype '(9999999,9999999)<f4', expected"),
        (reference(dtype=4), "the dtype '4', expected"),
        (reference(dtype=["<f4"]), "the dtype"),
        (reference(shape=2), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[-2]), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[2.0]), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[True, 2]), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[2] + [1] * 64), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[2**63]), "a shape that is not a list of at most 64 lengths"),
        (reference(shape=[2**62, 2**62]), "8 bytes of numbers where the shape and the dtype <f4 say otherwise"),
        (reference(shape=[3]), "8 bytes of numbers where the shape and the dtype <f4 say otherwise"),
        (reference(shape=[1]), "8 bytes of numbers where the shape and the dtype <f4 say otherwise"),
        (reference(dtype="<f8"), "8 bytes of numbers where the shape and the dtype <f8 say otherwise"),
        (reference(segment=1, shape=[0, 2**62, 2**62]), "a shape that numpy does not take"),
        (reference(segment=2), "a reference to an array that did not come with it"),
        (reference(segment=-1), "a reference to an array that did not come with it"),
        (reference(segment="0"), "a reference to an array that did not come with it"),
        (reference(segment=True), "a reference to an array that did not come with it"),
        ({"dtype": "<f4", "shape": [1], "data": 5}, "int for the data of an array, expected a string in base64"),
        ({"dtype": "<f4", "shape": [1], "data": "AAA"}, "data of an array that is not base64"),
        ({"dtype": "<f4", "shape": [1], "data": "AAAA_/w=="}, "data of an array that is not base64"),
    ],
)
def test_an_object_that_makes_no_array_is_refused(members: dict[str, Any], reason: str) -> None:
    segments = Segments([memoryview(bytes(8)), memoryview(b"")])
    with pytest.raises(ValueError, match=r".") as caught:
        read_array(members, segments)
    assert reason in str(caught.value)


def test_a_reference_without_segments_is_refused() -> None:
    with pytest.raises(InvalidItem, match="a reference to an array that did not come with it"):
        codec_for(np.ndarray).loads(b'{"dtype":"<f4","shape":[2],"segment":0}')


def test_an_array_that_nothing_refers_to_is_refused() -> None:
    with pytest.raises(InvalidItem, match="array 0 of the payload has no place in type int"):
        codec_for(int).unpack(b"\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x011   a")


# -- without types


def test_references_become_arrays_wherever_they_stand() -> None:
    segments = Segments([memoryview(np.array([1, 2], "<f4")).cast("B")])
    found = find_arrays({"a": [1, reference()], "b": {"dtype": "<f4", "shape": []}, "c": {"segment": 0}}, segments)
    assert found["a"][0] == 1
    assert found["a"][1].tolist() == [1.0, 2.0]
    assert (found["b"], found["c"]) == ({"dtype": "<f4", "shape": []}, {"segment": 0})


def test_base64_is_what_the_standard_has() -> None:
    members = json.loads(codec_for(np.ndarray).dumps(np.array([251, 255], np.uint8)))
    assert members["data"] == base64.b64encode(b"\xfb\xff").decode() == "+/8="
