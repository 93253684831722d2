import numpy as np
import pytest

from headrace.errors import InvalidItem, WireError
from headrace.wire.array import Array
from headrace.wire.codec import codec_for
from headrace.wire.untyped_codec import UntypedCodec

FRONT = b"\x00\x00\x00\x01\x00\x00\x00\x2c\x00\x00\x00\x02"


@pytest.mark.parametrize("data", [b'{"a":[1,null]}', b'{"dtype":"<i2","shape":[1],"segment":0}', b'"x"'])
def test_json_is_read_as_it_is(data: bytes) -> None:
    assert UntypedCodec().unpack(data) == UntypedCodec().loads(data) == codec_for(dict | str).loads(data)


def test_arrays_of_a_frame_are_found_without_their_types() -> None:
    data = codec_for(dict[str, list[Array]]).pack({"a": [np.array([1, 2], np.int8), np.array(True)]})
    found = UntypedCodec().unpack(data)
    assert [array.tolist() for array in found["a"]] == [[1, 2], True]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (FRONT + b'{"dtype":"<i2","shape":[2],"segment":0}     ab', InvalidItem),
        (FRONT + b'{"dtype":"<i2","shape":[1],"segment":1}     ab', InvalidItem),
        (FRONT + b'{"dtype":"O","shape":[1],"segment":0}       ab', InvalidItem),
        (FRONT + b'"an array without any reference to it"      ab', InvalidItem),
        (FRONT + b"no JSON, but as long as that would have been..ab", WireError),
    ],
)
def test_what_makes_no_array_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        UntypedCodec().unpack(data)


def test_a_bad_reference_says_what_is_wrong() -> None:
    with pytest.raises(InvalidItem, match="JSON with arrays: 2 bytes of numbers where the shape and the dtype <i2"):
        UntypedCodec().unpack(FRONT + b'{"dtype":"<i2","shape":[2],"segment":0}     ab')
