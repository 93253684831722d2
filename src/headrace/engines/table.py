"""The engines by name, for those who choose one: `headrace run --engine`. None is imported before it is chosen."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headrace.config import ConfigError
from headrace.engines.engine import Engine
from headrace.errors import DefinitionError, Mistake, SetupError


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine of the table.

    Attributes:
        module, kind: where its class is.
        model: what its model is: a folder, a folder or the name of one elsewhere, or a name.
        parameter: of the constructor, for the model.
        optional: it has a model of its own.
        temperature: that suits it where a request names none.
        extra: of headrace, that brings the packages it needs; empty: it needs none.
        packages: their modules.
    """

    name: str
    module: str
    kind: str
    model: Literal["folder", "folder or name", "name"]
    parameter: str = "model"
    optional: bool = False
    temperature: float = 1.0
    extra: str = ""
    packages: tuple[str, ...] = ()

    def load(self) -> type[Any]:
        """Its class, imported now. Raises `DefinitionError` (HR22) when a package is missing that it needs."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise DefinitionError([self._missing(package)])
        kind: type[Any] = getattr(importlib.import_module(self.module), self.kind)
        return kind

    def arguments(self, model: str | None) -> dict[str, Any]:
        """The constructor's arguments for a model.

        Raises:
            ConfigError: it needs a model, and none was named.
            SetupError: the folder is not there.
        """
        if model is None:
            if self.optional:
                return {}
            message = f"the engine {self.name} needs a model (a {self.model})"
            raise ConfigError(message, setting="model", value=None, accepted=f"a {self.model}")
        if self.model == "name":
            return {self.parameter: model}
        folder = Path(model).expanduser()
        if not folder.is_dir() and (self.model == "folder" or _is_path(model)):
            found = "is not a folder" if folder.exists() else "is not there"
            raise SetupError(f"the model {model} {found}, seen from {Path.cwd()}")
        return {self.parameter: folder if self.model == "folder" else str(folder) if folder.is_dir() else model}

    def _missing(self, package: str) -> Mistake:
        return Mistake(
            "HR22",
            f'the engine {self.name} needs "{package}", which comes with the extra "{self.extra}"',
            why=f"This is Python {sys.version.split()[0]} at {sys.executable}.",
            fix=f'{sys.executable} -m pip install "headrace[{self.extra}]"',
        )


ENGINES: Mapping[str, EngineRow] = {
    row.name: row
    for row in (
        EngineRow(
            "tiny",
            "headrace.engines.tiny.engine",
            "TinyEngine",
            "folder",
            parameter="folder",
            optional=True,
            temperature=0.0,
        ),
        EngineRow(
            "transformers",
            "headrace.engines.transformers.engine",
            "TransformersEngine",
            "folder or name",
            extra="transformers",
            packages=("torch", "transformers"),
        ),
        EngineRow(
            "openai",
            "headrace.engines.openai_upstream.engine",
            "OpenAIEngine",
            "name",
            extra="openai",
            packages=("openai",),
        ),
        EngineRow(
            "vllm", "headrace.engines.vllm.engine", "VllmEngine", "folder or name", extra="vllm", packages=("vllm",)
        ),
    )
}


def find(name: str) -> EngineRow:
    """The engine of this name. Raises `ConfigError` for any other."""
    if name in ENGINES:
        return ENGINES[name]
    close = difflib.get_close_matches(name, ENGINES, n=1)
    hint = f'Did you mean "{close[0]}"?' if close else f"There are {', '.join(ENGINES)}."
    accepted = f"one of {', '.join(ENGINES)}"
    raise ConfigError(f'there is no engine "{name}". {hint}', setting="engine", value=name, accepted=accepted)


def make(name: str, model: str | None = None, **options: Any) -> Engine:
    """An engine, not started.

    Args:
        name: of the table.
        model: what the engine's row says; None: its own.
        options: further arguments of its constructor.

    Raises:
        ConfigError: there is no such engine, or it needs a model and got none.
        SetupError: the model's folder is not there.
        DefinitionError: HR22, a package is missing.
    """
    row = find(name)
    engine: Engine = row.load()(**row.arguments(model), **options)
    return engine


def _is_path(model: str) -> bool:
    """Whether only a folder can be meant: names of models elsewhere have no more than one slash, in the middle."""
    return model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1
