import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.engines.tiny.checkpoint import InvalidCheckpoint, LlamaConfig, read_config, read_tensors
from headrace.engines.tiny.engine import CHECKPOINT

CONFIG = {
    "model_type": "llama",
    "hidden_act": "silu",
    "vocab_size": 16,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500.0,
    "eos_token_id": [2, 3],
}


def write_tensors(path: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_three_dtypes_become_float32(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "single": tensor("F32", [2], 0, 8),
        "half": tensor("F16", [2, 1], 8, 12),
        "brain": tensor("BF16", [3], 12, 18),
    }
    data = bytes.fromhex("0000c03f 000000c0003e 00c5803f 40c0 ff7f")
    tensors = read_tensors(write_tensors(tmp_path / "model.safetensors", header, data))
    assert list(tensors) == ["single", "half", "brain"]
    assert {values.dtype for values in tensors.values()} == {np.dtype(np.float32)}
    assert tensors["single"].tolist() == [1.5, -2.0]
    assert tensors["half"].tolist() == [[1.5], [-5.0]]
    assert tensors["brain"][:2].tolist() == [1.0, -3.0]
    assert np.isnan(tensors["brain"][2])


def test_a_tensor_may_be_empty(tmp_path: Path) -> None:
    tensors = read_tensors(write_tensors(tmp_path / "model.safetensors", {"nothing": tensor("F32", [0, 4], 0, 0)}, b""))
    assert tensors["nothing"].shape == (0, 4)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        pytest.param(b"{", b"", "the header is not JSON", id="broken JSON"),
        pytest.param(b"\xff\xfe", b"", "the header is not JSON", id="no text at all"),
        pytest.param(b"[" * 100_000, b"", "the header is not JSON", id="nested too deeply"),
        pytest.param([], b"", "not an object", id="a list"),
        pytest.param({"w": 3}, b"", "tensor 'w' has no dtype", id="an entry that is a number"),
        pytest.param({"w": {"dtype": "F32", "shape": [1]}}, b"", "tensor 'w' has no dtype", id="no offsets"),
        pytest.param(
            {"w": tensor("F32", [1], 0, 4) | {"data_offsets": [0]}}, b"0000", "two data_offsets", id="one offset"
        ),
        pytest.param({"w": tensor("F32", [-1], 0, 4)}, b"0000", r"shape \[-1\]", id="a negative size"),
        pytest.param({"w": tensor("F32", [1], -4, 0)}, b"0000", r"data_offsets \[-4, 0\]", id="a negative offset"),
        pytest.param({"w": tensor("F32", [True], 0, 4)}, b"0000", r"shape \[True\]", id="a size that is no number"),
        pytest.param(
            {"w": tensor("I64", [1], 0, 8)}, b"00000000", "is I64; supported are F32, F16, BF16", id="integers"
        ),
        pytest.param({"w": tensor("F32", [2], 0, 4)}, b"0000", "needs 8 bytes as F32 and has 4", id="too few bytes"),
        pytest.param(
            {"w": tensor("F32", [1], 4, 0)}, b"0000", "needs 4 bytes as F32 and has -4", id="end before begin"
        ),
        pytest.param(
            {"w": tensor("F32", [2], 0, 8)}, b"0000", "take 8 bytes, the file holds 4", id="a file that was cut"
        ),
        pytest.param({"w": tensor("F32", [1], 0, 4)}, b"00000", "take 4 bytes, the file holds 5", id="bytes left over"),
        pytest.param({"w": tensor("F32", [1], 4, 8)}, b"00000000", "begins at 4, not at 0", id="a gap"),
        pytest.param(
            {"v": tensor("F32", [1], 0, 4), "w": tensor("F16", [2], 2, 6)},
            b"000000",
            "begins at 2, not at 4",
            id="overlap",
        ),
    ],
)
def test_a_malformed_file_says_what_is_wrong(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = write_tensors(tmp_path / "model.safetensors", header, data)
    with pytest.raises(InvalidCheckpoint, match=message) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_shorter_than_its_length_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x01\x02\x03")
    with pytest.raises(InvalidCheckpoint, match="3 bytes are too few"):
        read_tensors(path)


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\xff{}")
    with pytest.raises(InvalidCheckpoint, match="the header should have 18446744073709551615 bytes, the file has 10"):
        read_tensors(path)


def test_the_built_in_config_is_read() -> None:
    assert read_config(CHECKPOINT / "config.json") == LlamaConfig(
        vocabulary=2048,
        width=192,
        inner_width=640,
        layers=6,
        heads=6,
        key_value_heads=2,
        head_width=32,
        positions=1024,
        epsilon=1e-6,
        theta=10000.0,
        end_tokens=frozenset({2}),
    )


def test_older_configs_leave_the_head_width_out(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    config = read_config(path)
    assert (config.head_width, config.theta, config.end_tokens) == (2, 500.0, frozenset({2, 3}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "model_type is 'mamba'; the built-in engine supports only 'llama'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type is 'yarn'"),
        ({"hidden_size": "8"}, "hidden_size is '8'; it must be a positive whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"rms_norm_eps": None}, "rms_norm_eps is None; it must be a positive number"),
        ({"num_key_value_heads": 3}, "4 heads of 2 cannot share 3 key-value heads"),
        ({"eos_token_id": "</s>"}, "eos_token_id is '</s>'"),
    ],
)
def test_a_config_of_another_kind_of_model_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG | change))
    with pytest.raises(InvalidCheckpoint, match=message):
        read_config(path)
