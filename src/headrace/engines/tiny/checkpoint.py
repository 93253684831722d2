"""Reads a checkpoint folder: `model.safetensors` and `config.json`.

A safetensors file is eight bytes (the header's length, little-endian), a JSON header and the tensors' bytes. The header
gives each tensor a dtype, a shape and a begin and end in those bytes; they must cover all of them, without gaps and
without overlaps (https://github.com/huggingface/safetensors, "Format"). Everything is checked before a byte is used: a
file that was cut or tampered with gives an `InvalidCheckpoint`, never wrong weights.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headrace.errors import HeadraceError

Array: TypeAlias = NDArray[np.float32]

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the reference implementation
_STORED = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # numpy has no bfloat16: it is the upper half of a float32


class InvalidCheckpoint(HeadraceError):
    """A model's file is damaged, or of a kind that this engine cannot run."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The sizes of a Llama-style model, from `config.json`."""

    vocabulary: int
    width: int
    inner_width: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    positions: int
    epsilon: float
    theta: float
    end_tokens: frozenset[int]


def read_config(path: Path) -> LlamaConfig:
    """Reads `config.json`; `InvalidCheckpoint` for anything but a plain Llama, which this engine would run wrongly."""
    values = read_json(path)
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    for name, value, supported in (
        ("model_type", values.get("model_type"), ("llama",)),
        ("hidden_act", values.get("hidden_act"), ("silu",)),
        ("attention_bias", values.get("attention_bias", False), (False,)),
        ("mlp_bias", values.get("mlp_bias", False), (False,)),
        ("rope_type", rope.get("rope_type", "default"), ("default",)),
    ):
        if value not in supported:
            raise InvalidCheckpoint(f"{path}: {name} is {value!r}; the built-in engine supports only {supported[0]!r}")
    width, heads = _size(path, values, "hidden_size"), _size(path, values, "num_attention_heads")
    config = LlamaConfig(
        vocabulary=_size(path, values, "vocab_size"),
        width=width,
        inner_width=_size(path, values, "intermediate_size"),
        layers=_size(path, values, "num_hidden_layers"),
        heads=heads,
        key_value_heads=_size(path, values, "num_key_value_heads"),
        head_width=_size(path, {"head_dim": width // heads, **values}, "head_dim"),
        positions=_size(path, values, "max_position_embeddings"),
        epsilon=_number(path, values, "rms_norm_eps"),
        theta=_number(path, {**values, **rope}, "rope_theta"),
        end_tokens=_end_tokens(path, values.get("eos_token_id")),
    )
    if config.heads % config.key_value_heads or config.head_width % 2:
        raise InvalidCheckpoint(
            f"{path}: {config.heads} heads of {config.head_width} cannot share {config.key_value_heads} key-value heads"
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file that must hold one JSON object."""
    return _json_object(path, path.read_bytes(), "the file")


def read_tensors(path: Path) -> dict[str, Array]:
    """Reads every tensor of a safetensors file as float32, each an array of its own.

    Raises:
        InvalidCheckpoint: the file breaks a rule of the format, or holds a dtype other than F32, F16 and BF16.
    """
    content = memoryview(path.read_bytes())
    if len(content) < _LENGTH_BYTES:
        raise InvalidCheckpoint(f"{path}: {len(content)} bytes are too few for a safetensors file")
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if length > min(len(content) - _LENGTH_BYTES, _LONGEST_HEADER):
        raise InvalidCheckpoint(f"{path}: the header should have {length} bytes, the file has {len(content)}")
    header = _json_object(path, bytes(content[_LENGTH_BYTES : _LENGTH_BYTES + length]), "the header")
    header.pop("__metadata__", None)
    data = content[_LENGTH_BYTES + length :]
    places = [_place(path, name, entry) for name, entry in header.items()]
    _check_coverage(path, places, len(data))
    return {place.name: _to_array(place, data) for place in places}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies: bytes `begin` to `end`, after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _place(path: Path, name: str, entry: Any) -> _Place:
    """Reads one entry of the header."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidCheckpoint(f"{path}: tensor {name!r} has no dtype, shape and two data_offsets") from error
    if any(type(number) is not int or number < 0 for number in (*shape, begin, end)):
        raise InvalidCheckpoint(f"{path}: tensor {name!r} has shape {list(shape)} and data_offsets {[begin, end]}")
    if dtype not in _STORED:
        raise InvalidCheckpoint(f"{path}: tensor {name!r} is {dtype}; supported are {', '.join(_STORED)}")
    expected = math.prod(shape) * np.dtype(_STORED[dtype]).itemsize
    if end - begin != expected:
        raise InvalidCheckpoint(
            f"{path}: tensor {name!r} of shape {list(shape)} needs {expected} bytes as {dtype} and has {end - begin}"
        )
    return _Place(name, dtype, shape, begin, end)


def _check_coverage(path: Path, places: list[_Place], size: int) -> None:
    """Refuses gaps, overlaps, and tensors that lie beyond the end of the file."""
    reached = 0
    for place in sorted(places, key=lambda place: (place.begin, place.end)):
        if place.begin != reached:
            raise InvalidCheckpoint(f"{path}: tensor {place.name!r} begins at {place.begin}, not at {reached}")
        reached = place.end
    if reached != size:
        raise InvalidCheckpoint(f"{path}: the tensors take {reached} bytes, the file holds {size}")


def _to_array(place: _Place, data: memoryview) -> Array:
    stored = np.frombuffer(data[place.begin : place.end], _STORED[place.dtype])
    if place.dtype == "BF16":
        stored = (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32).reshape(place.shape)


def _json_object(path: Path, text: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidCheckpoint(f"{path}: {part} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidCheckpoint(f"{path}: {part} is JSON, but not an object")
    return value


def _end_tokens(path: Path, value: Any) -> frozenset[int]:
    """`eos_token_id` is one id, a list of them, or null: then only a limit ends an answer."""
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if any(type(token_id) is not int for token_id in ids):
        raise InvalidCheckpoint(f"{path}: eos_token_id is {value!r}; it must be an id or a list of ids")
    return frozenset(ids)


def _size(path: Path, values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is not int or value < 1:
        raise InvalidCheckpoint(f"{path}: {name} is {value!r}; it must be a positive whole number")
    return value


def _number(path: Path, values: dict[str, Any], name: str) -> float:
    value = values.get(name)
    if not isinstance(value, int | float) or not value > 0:
        raise InvalidCheckpoint(f"{path}: {name} is {value!r}; it must be a positive number")
    return float(value)
