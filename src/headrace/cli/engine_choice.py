"""An engine to serve in place of a TARGET: nothing of the user's own code, the OpenAI API all the same.

The engine and its model are named as a setting is: by flags, by `HEADRACE_ENGINE` and `HEADRACE_MODEL`, or by `engine`
and `model` of the settings file. They are no settings, as `target` is none: they say what is served, not how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.cli.settings_file import UnreadableFile, read_file
from headrace.config import ConfigError
from headrace.engines.table import find

KEYS = ("engine", "model")
"""In the settings file."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine by its name in the table, and its model; None: the engine's own."""

    engine: str
    model: str | None = None

    @property
    def label(self) -> str:
        """How a server names what it serves."""
        return f"engine {self.engine}"

    @property
    def watched(self) -> list[Path]:
        """No code of the user's."""
        return []

    def title(self, service: str) -> str:
        """What it serves, for people; the service is the same one for all engines."""
        return self.label


def choose(
    target: str | None, flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path
) -> EngineChoice | None:
    """The engine that was asked for; None: a TARGET is served. The strongest source that names an engine counts.

    Args:
        target: of the command line.
        flags: `engine` and `model` of the command line.
        environ: the environment.
        folder: where the settings file may be.

    Raises:
        ConfigError: the command line names both, or a model without an engine; there is no such engine, or it needs a
            model.
        SetupError: the model is not there.
        UnreadableFile: the settings file.
    """
    if target:
        if given := [f"--{key}" for key in KEYS if flags.get(key)]:
            raise _refused(f"{given[0]} is for an engine, {target} is code of yours; leave one of them out")
        return None
    model = None
    for source in (flags, {key: environ.get(f"HEADRACE_{key.upper()}") for key in KEYS}, _file(folder)):
        model = model or source.get("model")
        if engine := source.get("engine"):
            return _checked(EngineChoice(engine, model or None))
    if flags.get("model"):
        raise _refused("--model is the model of an engine; name it with --engine, or HEADRACE_ENGINE")
    return None


def _checked(choice: EngineChoice) -> EngineChoice:
    row = find(choice.engine)
    if choice.model is None and not row.optional:
        raise _refused(f"the engine {row.name} needs a model, a {row.model}: --model, or HEADRACE_MODEL")
    row.arguments(choice.model)
    return choice


def _file(folder: Path) -> Mapping[str, str]:
    file = read_file(folder)
    given: dict[str, Any] = {key: file.table[key] for key in KEYS if key in file.table}
    for key, value in given.items():
        if not isinstance(value, str):
            raise UnreadableFile(f'{file.name}: {key} is {value!r}; write {key} = "..."')
    if "engine" in given and "target" in file.table:
        raise UnreadableFile(f"{file.name} names a target and an engine; one of them is served")
    return given


def _refused(message: str) -> ConfigError:
    return ConfigError(message, setting="engine", value=None, accepted="an engine or a TARGET")
