"""The engines by name."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.config import ConfigError
from headrace.engines.table import ENGINES, EngineRow, find, make
from headrace.errors import DefinitionError, SetupError

STANDARD = {"name": "queue", "module": "queue", "kind": "Queue", "parameter": "maxsize"}
FOLDER = EngineRow(**{**STANDARD, "model": "folder"})
EITHER = EngineRow(**{**STANDARD, "model": "folder or name"})


def test_the_engines_have_their_names() -> None:
    assert list(ENGINES) == ["tiny", "transformers", "openai", "vllm"]
    assert all(find(name).name == name for name in ENGINES)


@pytest.mark.parametrize("row", ENGINES.values(), ids=lambda row: row.name)
def test_every_engine_is_where_the_table_says(row: EngineRow) -> None:
    spec = importlib.util.find_spec(row.module)
    assert spec is not None
    assert f"class {row.kind}" in Path(str(spec.origin)).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("transformer", 'Did you mean "transformers"?'),
        ("Tiny", 'Did you mean "tiny"?'),
        ("llama.cpp", "There are tiny, transformers, openai, vllm."),
    ],
)
def test_an_unknown_engine_is_refused_with_the_one_that_was_meant(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(name)
    assert str(caught.value) == f'there is no engine "{name}". {hint}'


def test_the_table_imports_no_engine() -> None:
    code = "import headrace.engines.table, sys; print([name for name in sys.modules if name in %r])"
    heavy = [*(row.module for row in ENGINES.values()), "numpy", "torch", "transformers", "openai", "vllm"]
    done = subprocess.run([sys.executable, "-c", code % heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_package_that_is_missing_is_named_with_its_extra() -> None:
    row = EngineRow("heavy", "queue", "Queue", "name", extra="heavy", packages=("json", "not_installed_here"))
    with pytest.raises(DefinitionError) as caught:
        row.load()
    assert str(caught.value) == (
        'HR22 the engine heavy needs "not_installed_here", which comes with the extra "heavy"\n'
        f"  This is Python {sys.version.split()[0]} at {sys.executable}.\n"
        f'  fix: {sys.executable} -m pip install "headrace[heavy]"'
    )


def test_the_model_is_an_argument_of_the_constructor(tmp_path: Path) -> None:
    assert FOLDER.arguments(str(tmp_path)) == {"maxsize": tmp_path}
    assert EITHER.arguments(str(tmp_path)) == {"maxsize": str(tmp_path)}
    assert find("openai").arguments("gpt-5") == {"model": "gpt-5"}


def test_a_model_may_be_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qwen").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert EITHER.arguments("~/qwen") == {"maxsize": str(tmp_path / "qwen")}


@pytest.mark.parametrize("name", ["qwen", "Qwen/Qwen3-0.6B"])
def test_what_may_be_a_name_is_left_to_the_engine(name: str) -> None:
    assert EITHER.arguments(name) == {"maxsize": name}


@pytest.mark.parametrize("path", ["./qwen", "/models/qwen", "~/qwen", "models/qwen/", "a/b/c", "../qwen"])
def test_a_path_to_nothing_is_told(path: str) -> None:
    with pytest.raises(SetupError) as caught:
        EITHER.arguments(path)
    assert str(caught.value) == f"the model {path} is not there, seen from {Path.cwd()}"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(SetupError, match=r"model\.safetensors is not a folder, seen from "):
        FOLDER.arguments(str(tmp_path / "model.safetensors"))


def test_a_folder_is_needed_where_there_are_no_names() -> None:
    with pytest.raises(SetupError, match="the model qwen is not there"):
        FOLDER.arguments("qwen")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("transformers", "the engine transformers needs a model (a folder or name)"),
        ("openai", "the engine openai needs a model (a name)"),
    ],
)
def test_a_model_must_be_named_where_there_is_none(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(name).arguments(None)
    assert str(caught.value) == message
    assert find("tiny").arguments(None) == {}


def test_an_engine_is_made_with_its_options() -> None:
    engine: Any = make("tiny", concurrency=3)
    assert type(engine).__name__ == "TinyEngine"
    assert not engine.healthy
    with pytest.raises(TypeError, match="speed"):
        make("tiny", speed=3)
