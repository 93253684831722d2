import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.engines.tiny.checkpoint import read_config, read_tensors
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.tiny.model import Llama
from headrace.engines.tiny.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.read(CHECKPOINT / "tokenizer.json")


@pytest.fixture(scope="session")
def model() -> Llama:
    return Llama(read_config(CHECKPOINT / "config.json"), read_tensors(CHECKPOINT / "model.safetensors"))


def _nothing(_: dict[str, Any]) -> None:
    pass


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the built-in checkpoint with changes to its config or its tokenizer."""

    def alter(
        config: Callable[[dict[str, Any]], object] = _nothing, tokenizer: Callable[[dict[str, Any]], object] = _nothing
    ) -> Path:
        for name, change in (("config.json", config), ("tokenizer.json", tokenizer)):
            document = json.loads((CHECKPOINT / name).read_text(encoding="utf-8"))
            change(document)
            (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
        (tmp_path / "model.safetensors").symlink_to(CHECKPOINT / "model.safetensors")
        return tmp_path

    return alter
