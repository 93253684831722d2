"""The file of settings: which one counts, and what is said when it cannot be read."""

from pathlib import Path

import pytest

from headrace.cli.settings_file import SettingsFile, UnreadableFile, read_file


def test_without_a_file_there_are_no_settings(tmp_path: Path) -> None:
    assert read_file(tmp_path) == SettingsFile("", {})


@pytest.mark.parametrize(("name", "table"), [("headrace.toml", "headrace"), ("pyproject.toml", "tool.headrace")])
def test_the_table_of_the_file_is_read(tmp_path: Path, name: str, table: str) -> None:
    (tmp_path / name).write_text(f'[{table}]\ntarget = "app.py"\nport = 9000\n')
    assert read_file(tmp_path) == SettingsFile(name, {"target": "app.py", "port": 9000})


def test_the_file_of_our_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("[headrace]\nport = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.headrace]\nport = 2\n")
    assert read_file(tmp_path).table == {"port": 1}


def test_a_project_that_says_nothing_of_us_has_no_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_file(tmp_path) == SettingsFile("pyproject.toml", {})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("headrace.toml", b"headrace = 1\n", "headrace.toml: headrace is 1, not a table"),
        ("pyproject.toml", b"tool.headrace = 'x'\n", "pyproject.toml: tool.headrace is 'x', not a table"),
        ("pyproject.toml", b"[tool\n", "pyproject.toml cannot be read as TOML: Expected ']'"),
        ("pyproject.toml", b"x = '\xff'\n", "pyproject.toml cannot be read as TOML: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_is_something_else_is_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile) as error:
        read_file(tmp_path)
    assert str(error.value).startswith(said)
