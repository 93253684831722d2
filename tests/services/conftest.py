"""What the tests of services share: small files of a user's, written and imported, and the text of their mistakes."""

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from headrace.errors import DefinitionError

Written = Callable[[str], ModuleType]
Told = Callable[[Callable[[], object]], str]

_numbers = count()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """Writes a user's `app.py` and imports it; each one is a module of its own."""
    names: list[str] = []

    def write(source: str) -> ModuleType:
        name = f"users_app_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        names.append(name)
        importlib.invalidate_caches()
        sys.path.insert(0, str(tmp_path))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(tmp_path))

    yield write
    for name in names:
        sys.modules.pop(name, None)
    linecache.clearcache()


@pytest.fixture
def plain(tmp_path: Path) -> Callable[[str], str]:
    """A text in which the written file is called `app.py` and its module `app`."""

    def replaced(text: str) -> str:
        for path in tmp_path.glob("users_app_*.py"):
            text = text.replace(str(path), "app.py").replace(path.stem, "app")
        return text

    return replaced


@pytest.fixture
def told(plain: Callable[[str], str]) -> Told:
    """The whole text of the mistakes that a call finds."""

    def text_of(call: Callable[[], object]) -> str:
        with pytest.raises(DefinitionError) as caught:
            call()
        return plain(str(caught.value)) + "\n"

    return text_of
