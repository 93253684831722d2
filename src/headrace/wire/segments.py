"""JSON with raw parts beside it, so that arrays travel without base64: the payload of a frame that carries some.

    0x00 | 0x00 | count: uint16 | head: uint32 | count x size: uint32 | the JSON | the parts

The first byte tells it from JSON, which never begins so. `head` is the size of the JSON, which refers to the parts by
their number, from 0. Every part begins at a multiple of eight bytes from the payload's first byte, so that numbers can
be read where they stand: the JSON is filled up with spaces, the parts with zero bytes, the last one not at all.
"""

from __future__ import annotations

from struct import Struct, error, pack, unpack_from

from headrace.errors import InvalidItem, WireError

MAX_SEGMENTS = 65535

_FRONT = Struct(">BBHI")
_ALIGNMENT = 8


class Segments:
    """The raw parts of one payload: gathered while a value is written, handed out while one is read."""

    __slots__ = ("_numbers", "_parts", "_taken")

    def __init__(self, parts: list[memoryview] | None = None) -> None:
        self._parts = [] if parts is None else parts
        self._numbers: dict[int, int] = {}
        self._taken: set[int] = set()

    def add(self, part: memoryview, owner: object) -> int:
        """Keeps a part, one byte per element, and returns its number.

        Once for each owner, which must live until the payload is joined: a writer that tries the members of a union, or
        that has to write a value again, comes by more than once.
        """
        number = self._numbers.setdefault(id(owner), len(self._parts))
        if number == len(self._parts):
            self._parts.append(part)
        return number

    def take(self, number: int) -> memoryview:
        """The part with this number, as often as asked; raises LookupError where there is none."""
        if not 0 <= number < len(self._parts):
            raise LookupError(number)
        self._taken.add(number)
        return self._parts[number]

    @property
    def unused(self) -> list[int]:
        """The numbers of the parts that nobody took."""
        return [number for number in range(len(self._parts)) if number not in self._taken]

    def join(self, head: bytes) -> bytes:
        """The payload: the JSON alone where there are no parts; raises InvalidItem for more than a payload can tell."""
        parts = self._parts
        if not parts:
            return head
        if len(parts) > MAX_SEGMENTS:
            raise InvalidItem(f"{len(parts)} arrays in one value, which carries at most {MAX_SEGMENTS}: stack them")
        begin = _FRONT.size + 4 * len(parts)
        head += b" " * (-(begin + len(head)) % _ALIGNMENT)
        try:
            front = _FRONT.pack(0, 0, len(parts), len(head)) + pack(f">{len(parts)}I", *map(len, parts))
        except error as overflow:
            raise InvalidItem("an array of 4 GiB or more: split it") from overflow
        pieces: list[bytes | memoryview] = [front, head]
        for part in parts[:-1]:
            pieces += (part, bytes(-len(part) % _ALIGNMENT))
        pieces.append(parts[-1])
        return b"".join(pieces)


def split_payload(payload: bytes) -> tuple[bytes, Segments]:
    """The JSON of a payload, and its parts, none for JSON alone; they are views of the payload.

    Raises:
        WireError: the sizes do not fit the payload.
    """
    if not payload.startswith(b"\0"):
        return payload, Segments()
    if len(payload) < _FRONT.size:
        raise WireError(f"a payload with arrays that ends after {len(payload)} bytes, inside its first {_FRONT.size}")
    _, version, count, size = _FRONT.unpack_from(payload)
    place = _FRONT.size + 4 * count
    if version != 0 or count == 0 or len(payload) < place + size:
        raise WireError(
            f"a payload that begins with 0x00 and is not JSON with arrays: version {version}, {count} parts"
        )
    lengths: tuple[int, ...] = unpack_from(f">{count}I", payload, _FRONT.size)
    head = payload[place : place + size]
    view = memoryview(payload)
    parts = []
    place += size
    for length in lengths:
        place += -place % _ALIGNMENT
        parts.append(view[place : place + length])
        place += length
    if place != len(payload):
        raise WireError(f"a payload of {len(payload)} bytes whose JSON and arrays are said to have {place}")
    return head, Segments(parts)
