"""What the tests of these programs share: that they are end-to-end tests, and a language model that fits on a page."""

from pathlib import Path

import pytest
from checkpoint import make_checkpoint
from transformers_environment import transformers_python

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parent.parents:  # those in the folders; what stands beside them starts nothing
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def python() -> Path:
    """An interpreter that has torch and transformers."""
    return transformers_python()


@pytest.fixture(scope="session")
def checkpoint(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model and its tokenizer; `checkpoint.REPLIES` is what it knows."""
    return make_checkpoint(python, tmp_path_factory.mktemp("checkpoint"))
