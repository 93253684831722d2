"""A folder with a user's code in it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli.loading import load
from headrace.cli.main import main
from headrace.cli.target import Location, find
from headrace.errors import DefinitionError
from headrace.services.decorators import Bound


class Project:
    """The folder, and what the command makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def write(self, **files: str) -> Project:
        """Writes Python files; `sub__slash__app` is sub/app.py."""
        for name, text in files.items():
            file = self.folder / f"{name.replace('__slash__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return self

    def find(self, target: str | None) -> Location:
        return find(target, self.folder)

    def load(self, target: str | None) -> type | Bound[object]:
        return load(self.find(target))

    def loaded(self, target: str | None) -> type:
        found = self.load(target)
        assert isinstance(found, type)
        return found

    def mistake(self, target: str | None) -> str:
        """The text of the mistake that loading gives, with the folder and the interpreter named as such."""
        with pytest.raises(DefinitionError) as error:
            self.load(target)
        text = str(error.value).replace(str(self.folder.resolve()), "FOLDER").replace(sys.executable, "PYTHON")
        return text.replace(sys.version.split()[0], "VERSION")

    def run(self, *arguments: str, **options: Any) -> Result:
        """Runs the command in this folder and in this process."""
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(main, arguments, prog_name="headrace", **options)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty folder; what a test imports from it is gone after the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield Project(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        # A library that is forgotten and imported again has its classes twice, and they are not equal.
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]
