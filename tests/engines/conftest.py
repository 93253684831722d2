"""Checkpoints for the tests of the engine of transformers, and where its tests run."""

import sys
from pathlib import Path

import elsewhere
import pytest
from checkpoint import make_checkpoint


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """One file of this folder needs torch."""
    return (
        elsewhere.pytest_pycollect_makemodule(module_path, parent) if module_path.stem == "test_transformers" else None
    )


@pytest.fixture(scope="session")
def memorized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a GPT-2 that knows some replies by heart (`tests/support/checkpoint.py`)."""
    return make_checkpoint(Path(sys.executable), tmp_path_factory.mktemp("memorized"))


@pytest.fixture(scope="session")
def babbling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a Llama that says anything, in tokens of which many are a part of a character."""
    from tiny_checkpoints import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("babbling"))
