"""A file that is there when it is whole."""

from pathlib import Path

import pytest

from headrace.client.saving import Saving


def test_a_whole_file_is_there_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with Saving(path) as saving:
        saving.write(["grüß", b"\xff", bytearray(b"a")])
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert path.read_bytes() == "grüß".encode() + b"\xffa"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_is_not_there_and_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(TypeError), Saving(path) as saving:
        saving.write(["half", None])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_neither_text_nor_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="the item is dict; use collect"), Saving(tmp_path / "x") as saving:
        saving.write([{"a": 1}])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_the_operating_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Saving(tmp_path / "no" / "x"):
        pass


def test_a_place_that_is_a_folder_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="directory"), Saving(tmp_path / "x") as saving:
        saving.write(["a"])
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_the_file_has_the_ordinary_permissions(tmp_path: Path) -> None:
    with Saving(tmp_path / "x") as saving:
        saving.write(["a"])
    (tmp_path / "y").write_text("a")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode
