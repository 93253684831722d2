"""Where TARGET is, without importing it.

A target is `file.py`, `file.py:Chat`, `pkg.mod:Chat`, `pkg.mod:app`, or nothing: then `target` in `[tool.headrace]` of
pyproject.toml or `[headrace]` of headrace.toml, else `app.py`, `main.py` or `service.py`.
"""

from __future__ import annotations

import importlib.machinery
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.discovery import not_found, shown
from headrace.cli.settings_file import FILES, UnreadableFile, read_file
from headrace.errors import DefinitionError, Mistake

DEFAULT_FILES = ("app.py", "main.py", "service.py")


@dataclass(frozen=True, slots=True)
class Location:
    """What to import and which name to take from it; nothing was imported to find it.

    `root` is the folder that goes first on `sys.path`, `folder` the one that messages show paths from. `file` is None
    when the module is not in the folder but installed.
    """

    module: str
    name: str | None
    file: Path | None
    root: Path
    folder: Path

    @property
    def label(self) -> str:
        """How the user names it: `app.py`, or `pkg.mod` when it is installed."""
        return self.module if self.file is None else shown(self.file, self.folder)

    @property
    def watched(self) -> list[Path]:
        """The folder of the target, whose changes matter; the current one too where it is a project's."""
        is_project = any((self.folder / name).is_file() for name, _ in FILES)
        return [self.root, self.folder] if is_project else [self.root]

    def title(self, service: str) -> str:
        """What is served, for people: `app.py:Chat`, with the name that was asked for or else the service's own."""
        return f"{self.label}:{self.name or service}"


def find(target: str | None, folder: Path) -> Location:
    """Where the target is, looked up from this folder. Raises `DefinitionError` (HR01)."""
    folder = folder.resolve()
    target = target or _declared(folder) or _default(folder)
    where, _, name = target.partition(":")
    if where.endswith(".py") or "/" in where:
        file = folder / where
        if not file.is_file():
            raise not_found(f'no file "{where}" here', folder)
        root, module = _import_root(file.resolve())
        return Location(module, name or None, file.resolve(), root, folder)
    path = where.replace(".", "/")
    for file in (folder / f"{path}.py", folder / path / "__init__.py") if where else ():
        if file.is_file():
            return Location(where, name or None, file, folder, folder)
    if not _importable(where.split(".")[0]):
        raise not_found(f'no module "{where}" here', folder)
    return Location(where, name or None, None, folder, folder)


def _declared(folder: Path) -> str | None:
    try:
        file = read_file(folder)
    except UnreadableFile as error:
        raise DefinitionError([Mistake("HR01", str(error))]) from error
    target = file.table.get("target", "")
    if not isinstance(target, str):
        raise DefinitionError([Mistake("HR01", f'{file.name}: target is {target!r}; write target = "app.py:Chat"')])
    return target or None


def _default(folder: Path) -> str:
    for name in DEFAULT_FILES:
        if (folder / name).is_file():
            return name
    raise not_found(f"no target was named, and none of {', '.join(DEFAULT_FILES)} is here", folder)


def _import_root(file: Path) -> tuple[Path, str]:
    """The folder to import from and the dotted name: a file inside a package is imported as a part of it."""
    parts = [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        parts.insert(0, root.name)
        root = root.parent
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return root, ".".join(parts)


def _importable(top: str) -> bool:
    spec = importlib.machinery.PathFinder.find_spec(top) if top.isidentifier() else None
    return spec is not None and spec.origin is not None  # without an origin it is any folder of that name
