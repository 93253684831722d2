"""Test files that need torch, which the tests' own environment does not have.

A folder's `conftest.py` imports the hook below. Where torch is not installed, its test files are then not imported, but
only read: each test function is an item here, and all that were chosen run in one pytest of the environment that has
torch (`transformers_environment`), when the first one's turn comes. What it says about a function's cases is the
outcome of the item. Where torch is installed, as there, nothing is different from other tests.
"""

import ast
import importlib.util
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from served import REPOSITORY
from transformers_environment import transformers_python

ENDS_WITHIN = 900  # seconds
_SETTINGS = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
_WRONG = ("failure", "error", "skipped")  # nobody would see that it was left out
_REPORT = pytest.StashKey["Report"]()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if importlib.util.find_spec("torch") is not None:
        return None
    return ElsewhereFile.from_parent(parent, path=module_path)


class ElsewhereFile(pytest.File):
    def collect(self) -> Iterator["ElsewhereTest"]:
        for node in ast.parse(self.path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                test = ElsewhereTest.from_parent(self, name=node.name)
                test.add_marker("slow")
                yield test


class ElsewhereTest(pytest.Item):
    def runtest(self) -> None:
        stash = self.session.stash
        if _REPORT not in stash:
            stash[_REPORT] = _run([item for item in self.session.items if isinstance(item, ElsewhereTest)])
        report = stash[_REPORT]
        cases = report.cases.get(self.key)
        if cases is None:
            raise Elsewhere(f"it did not run:\n{report.output}")
        if wrong := [case for case in cases if case]:
            raise Elsewhere("\n\n".join(wrong))

    @property
    def key(self) -> str:
        return f"{'.'.join(self.path.relative_to(REPOSITORY).with_suffix('').parts)}::{self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> object:
        return str(excinfo.value) if isinstance(excinfo.value, Elsewhere) else super().repr_failure(excinfo)


class Elsewhere(Exception):
    """What the other pytest says of a test that did not pass."""


@dataclass(frozen=True)
class Report:
    """What the other pytest says: of each function, what is wrong with each of its cases or ""; and its output."""

    cases: dict[str, list[str]]
    output: str


def _run(tests: list[ElsewhereTest]) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.xml")
        done = subprocess.run(
            [
                *(str(transformers_python()), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={file}"),
                *(f"{test.path}::{test.name}" for test in tests),
            ],
            cwd=REPOSITORY,
            env={**os.environ, **_SETTINGS},
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
        )
        cases = defaultdict(list)
        for case in ElementTree.parse(file).iter("testcase") if file.is_file() else ():
            function = case.attrib["name"].partition("[")[0]
            wrong = [f"{case.attrib['name']}\n{child.text or child.attrib}" for child in case if child.tag in _WRONG]
            cases[f"{case.attrib['classname']}::{function}"].append("\n".join(wrong))
        return Report(cases, done.stdout + done.stderr)
