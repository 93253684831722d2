"""Which files are watched, and which changes are noticed. The times of files and the clock are set, not waited for."""

import os
from pathlib import Path

import pytest

from headrace.cli.watch import Watch

LONG_AGO, NOW = 1_000_000, 2_000_000
SECOND = 1_000_000_000  # in nanoseconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "app.py")
    write(tmp_path / "sub" / "part.py")
    return tmp_path


def write(file: Path, text: str = "", at: int = LONG_AGO) -> None:
    """Writes a file at some time; its folder has that time too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for path in (file, file.parent):
        os.utime(path, ns=(at * SECOND, at * SECOND))


def watch(*folders: Path) -> Watch:
    return Watch(folders, clock=lambda: NOW)


def test_nothing_has_changed_at_first_nor_later(folder: Path) -> None:
    files = watch(folder)
    assert [files.changed(), files.changed()] == [None, None]


def test_a_changed_file_is_told_once(folder: Path) -> None:
    files = watch(folder)
    os.utime(folder / "sub" / "part.py", ns=(LONG_AGO * SECOND, LONG_AGO * SECOND + 1))
    assert [files.changed(), files.changed()] == ["sub/part.py", None]


def test_another_size_at_the_same_time_is_a_change(folder: Path) -> None:
    files = watch(folder)
    write(folder / "app.py", "x = 1\n")
    assert files.changed() == "app.py"


@pytest.mark.parametrize("at", [LONG_AGO + 1, NOW])
def test_a_new_file_is_a_change(folder: Path, at: int) -> None:
    files = watch(folder)
    write(folder / "sub" / "new.py", at=at)
    assert files.changed() == "sub/new.py"


def test_a_new_file_is_noticed_in_a_folder_that_has_just_changed_and_keeps_its_time(folder: Path) -> None:
    os.utime(folder, ns=(NOW * SECOND, NOW * SECOND))
    files = watch(folder)
    write(folder / "new.py", at=NOW)
    assert files.changed() == "new.py"


def test_a_new_folder_with_a_file_is_a_change(folder: Path) -> None:
    files = watch(folder)
    write(folder / "fresh" / "new.py")
    os.utime(folder, ns=(NOW * SECOND, NOW * SECOND))
    assert files.changed() == "fresh/new.py"


def test_a_file_that_goes_is_a_change(folder: Path) -> None:
    files = watch(folder)
    (folder / "sub" / "part.py").unlink()
    assert files.changed() == "sub/part.py"


def test_a_folder_that_goes_is_a_change(folder: Path) -> None:
    files = watch(folder)
    (folder / "sub" / "part.py").unlink()
    (folder / "sub").rmdir()
    assert [files.changed(), files.changed()] == ["sub/part.py", None]


def test_the_settings_are_watched_and_other_files_are_not(folder: Path) -> None:
    files = watch(folder)
    write(folder / "data.json")
    assert files.changed() is None
    write(folder / "pyproject.toml", at=LONG_AGO + 1)
    assert files.changed() == "pyproject.toml"


@pytest.mark.parametrize("name", [".venv", ".git", "node_modules", "__pycache__", "lib/site-packages"])
def test_folders_that_are_not_the_users_are_not_entered(folder: Path, name: str) -> None:
    write(folder / name / "deep" / "old.py")
    os.utime(folder, ns=(LONG_AGO * SECOND, LONG_AGO * SECOND))
    files = watch(folder)
    write(folder / name / "deep" / "old.py", "changed")
    write(folder / name / "new.py")
    assert files.changed() is None


def test_an_environment_of_any_name_is_not_entered(folder: Path) -> None:
    write(folder / "env" / "pyvenv.cfg")
    write(folder / "env" / "lib" / "old.py")
    files = watch(folder)
    write(folder / "env" / "lib" / "old.py", "changed")
    assert files.changed() is None


def test_a_link_to_a_folder_is_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    files = watch(folder)
    assert files.changed() is None


def test_a_folder_inside_a_watched_one_is_watched_once(folder: Path) -> None:
    files = watch(folder / "sub", folder)
    write(folder / "sub" / "part.py", "changed")
    assert files.changed() == "sub/part.py"


def test_two_folders_are_watched_side_by_side(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    write(other / "lib.py")
    files = watch(folder, other)
    write(other / "lib.py", "changed")
    assert files.changed() == "lib.py"
