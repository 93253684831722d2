"""The file of settings and of the target: `[headrace]` of headrace.toml, else `[tool.headrace]` of pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = (("headrace.toml", ("headrace",)), ("pyproject.toml", ("tool", "headrace")))


class UnreadableFile(Exception):
    """The file is there and is not what it should be."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The table of the folder's file; `name` is empty when there is none."""

    name: str = ""
    table: Mapping[str, Any] = field(default_factory=dict)


def read_file(folder: Path) -> SettingsFile:
    """Reads the first of the two files that is there. Raises UnreadableFile."""
    for name, keys in FILES:
        try:
            table: Any = tomllib.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UnreadableFile(f"{name} cannot be read as TOML: {error}") from error
        for depth, key in enumerate(keys, start=1):
            table = table.get(key, {})
            if not isinstance(table, dict):
                raise UnreadableFile(f"{name}: {'.'.join(keys[:depth])} is {table!r}, not a table")
        return SettingsFile(name, table)
    return SettingsFile()
