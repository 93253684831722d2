"""Paths with named parts: `/v1/models/{model}`, and `/files/{name:path}`, whose part may have slashes in it.

Starlette compiles them, so they mean what they mean there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.routing import compile_path


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One such path.

    Attributes:
        template: as URI templates and OpenAPI write it, `/files/{name}`.
        names: of the parts.
        shape: the same for two patterns that differ in names alone.
    """

    template: str
    names: tuple[str, ...]
    shape: str
    regex: re.Pattern[str]

    @property
    def text(self) -> int:
        """How many characters are written out. The more there are, the fewer paths fit."""
        return len(self.shape) - 2 * len(self.names)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The parts of a path, already decoded; None where it does not fit."""
        found = self.regex.fullmatch(path)
        return None if found is None else found.groupdict()

    def fill(self, parts: Mapping[str, Any]) -> str:
        """A path with these parts in it, encoded; slashes stay."""
        return self.template.format_map({name: quote(str(parts[name])) for name in self.names})


def read_pattern(path: str) -> PathPattern | None:
    """The pattern that a path is; None for one without named parts.

    Raises:
        ValueError: two parts have one name, or one is of a kind that there is not.
    """
    if "{" not in path:
        return None
    try:
        regex, template, kinds = compile_path(path)
    except (AssertionError, KeyError) as error:  # Starlette asserts that it knows the kind
        raise ValueError(str(error)) from error
    names = tuple(kinds)
    return PathPattern(template, names, template.format_map(dict.fromkeys(names, "{}")), regex)
