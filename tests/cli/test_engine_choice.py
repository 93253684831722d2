"""Which engine is served, when flags, environment and file may name one."""

from pathlib import Path

import pytest

from headrace.cli.engine_choice import EngineChoice, choose
from headrace.cli.settings_file import UnreadableFile
from headrace.config import ConfigError
from headrace.errors import SetupError


def write(folder: Path, text: str) -> None:
    (folder / "headrace.toml").write_text(f"[headrace]\n{text}")


FILE = 'engine = "vllm"\nmodel = "in-file"\n'


@pytest.mark.parametrize(
    ("flags", "environ", "file", "chosen"),
    [
        ({}, {}, "", None),
        ({"engine": "tiny"}, {}, "", EngineChoice("tiny")),
        ({"engine": "openai", "model": "gpt"}, {}, "", EngineChoice("openai", "gpt")),
        ({}, {"HEADRACE_ENGINE": "openai", "HEADRACE_MODEL": "gpt"}, "", EngineChoice("openai", "gpt")),
        ({}, {}, FILE, EngineChoice("vllm", "in-file")),
        ({}, {"HEADRACE_ENGINE": ""}, FILE, EngineChoice("vllm", "in-file")),
        ({}, {"HEADRACE_MODEL": "mine"}, FILE, EngineChoice("vllm", "mine")),
        ({"model": "flag"}, {"HEADRACE_MODEL": "mine"}, FILE, EngineChoice("vllm", "flag")),
        ({"engine": "tiny"}, {"HEADRACE_ENGINE": "openai", "HEADRACE_MODEL": "gpt"}, FILE, EngineChoice("tiny")),
        ({}, {"HEADRACE_ENGINE": "tiny"}, FILE, EngineChoice("tiny")),
        ({}, {"HEADRACE_ENGINE": "tiny"}, 'target = "app.py"\n', EngineChoice("tiny")),
        ({}, {"HEADRACE_MODEL": "mine"}, 'target = "app.py"\n', None),
    ],
)
def test_the_strongest_source_names_the_engine_and_no_weaker_one_its_model(
    tmp_path: Path, flags: dict[str, str], environ: dict[str, str], file: str, chosen: EngineChoice | None
) -> None:
    write(tmp_path, file)
    assert choose(None, flags, environ, tmp_path) == chosen


def test_a_target_of_the_command_line_is_served_whatever_else_is_named(tmp_path: Path) -> None:
    write(tmp_path, FILE)
    assert choose("app.py", {}, {"HEADRACE_ENGINE": "tiny"}, tmp_path) is None


@pytest.mark.parametrize(
    ("target", "flags", "message"),
    [
        ("app.py", {"engine": "tiny"}, "--engine is for an engine, app.py is code of yours; leave one of them out"),
        ("app.py", {"model": "m"}, "--model is for an engine, app.py is code of yours; leave one of them out"),
        (None, {"model": "m"}, "--model is the model of an engine; name it with --engine, or HEADRACE_ENGINE"),
        (None, {"engine": "openai"}, "the engine openai needs a model, a name: --model, or HEADRACE_MODEL"),
        (None, {"engine": "tinny"}, 'there is no engine "tinny". Did you mean "tiny"?'),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, target: str | None, flags: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(target, flags, {}, tmp_path)
    assert str(caught.value) == message


def test_a_model_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the model \./nowhere is not there, seen from "):
        choose(None, {"engine": "tiny", "model": "./nowhere"}, {}, tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("engine = 3\n", 'headrace.toml: engine is 3; write engine = "..."'),
        (FILE + 'target = "app.py"\n', "headrace.toml names a target and an engine; one of them is served"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, file: str, message: str) -> None:
    write(tmp_path, file)
    with pytest.raises(UnreadableFile) as caught:
        choose(None, {}, {}, tmp_path)
    assert str(caught.value) == message


def test_an_engine_is_named_as_what_is_served_and_nothing_is_watched_for_it() -> None:
    choice = EngineChoice("transformers", "qwen")
    assert (choice.title("LanguageModel"), choice.watched) == ("engine transformers", [])
