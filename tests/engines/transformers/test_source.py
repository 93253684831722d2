from pathlib import Path

import pytest

from headrace.engines.transformers.source import Source


def test_a_folder_gives_its_name(tmp_path: Path) -> None:
    (tmp_path / "poet").mkdir()
    source = Source(str(tmp_path / "poet"))
    assert (source.folder, source.name, source.missing) == (tmp_path / "poet", "poet", False)


def test_a_name_on_the_hub_is_a_name_as_it_is() -> None:
    source = Source("somebody/poet-1b")
    assert (source.folder, source.name, source.missing) == (None, "somebody/poet-1b", False)


@pytest.mark.parametrize("path", ["/nowhere/poet", "./poet", "~/nowhere/poet", "models/poets/poet", "models\\poet"])
def test_a_path_without_a_folder_is_missing(path: str) -> None:
    assert Source(path).missing


def test_a_folder_is_never_missing(tmp_path: Path) -> None:
    assert not Source(str(tmp_path)).missing


def test_what_fails_in_a_folder_names_the_folder(tmp_path: Path) -> None:
    told = Source(str(tmp_path)).explain(ValueError("no such thing"))
    assert told == f"the checkpoint in {tmp_path} cannot be loaded: no such thing"


def test_what_fails_with_a_name_says_what_to_give() -> None:
    assert Source("poet").explain(OSError("offline")) == (
        "there is no folder poet, and the model hub gives no model of this name; give a folder that has config.json"
        " and *.safetensors, or download the model first: offline"
    )


def test_an_error_without_words_is_told_by_its_kind() -> None:
    assert Source("poet").explain(KeyError()).endswith("first: KeyError")
