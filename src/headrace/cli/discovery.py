"""Which services the files of a folder define, by their text alone: what to offer when TARGET is not there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from headrace.errors import DefinitionError, Mistake

_SCANNED_FILES = 300  # more .py files than this are not searched for services


def services_in(folder: Path) -> dict[str, list[str]]:
    """The classes with `@service` in the files of a folder and of the folders in it, by their text alone."""
    found: dict[str, list[str]] = {}
    for file in _python_files(folder):
        try:
            source = file.read_bytes()
            tree = ast.parse(source) if b"service" in source else ast.Module([], [])
        except (OSError, SyntaxError, ValueError):
            continue
        if names := [node.name for node in tree.body if isinstance(node, ast.ClassDef) and _is_decorated(node)]:
            found[shown(file, folder)] = names
    return found


def not_found(what: str, folder: Path) -> DefinitionError:
    """HR01, with the services that are there instead."""
    services = services_in(folder)
    if not services:
        fix = "headrace dev path/to/file.py"
        return DefinitionError([Mistake("HR01", f"{what}. No class decorated with @service was found.", fix=fix)])
    listed = ", ".join(f"{file} ({', '.join(names)})" for file, names in services.items())
    file, names = next(iter(services.items()))
    choice = file if len(names) == 1 else f"{file}:{names[0]}"
    return DefinitionError([Mistake("HR01", f"{what}. Services found: {listed}. Try: headrace dev {choice}")])


def _python_files(folder: Path) -> Iterator[Path]:
    children = sorted(child for child in folder.iterdir() if child.is_dir() and os.access(child, os.R_OK | os.X_OK))
    visible = [child for child in children if not child.name.startswith((".", "__"))]
    folders = [folder, *(child for child in visible if not (child / "pyvenv.cfg").exists())]
    return islice((file for each in folders for file in sorted(each.glob("*.py"))), _SCANNED_FILES)


def _is_decorated(node: ast.ClassDef) -> bool:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called) in ("service", "headrace.service"):
            return True
    return False


def shown(file: Path, folder: Path) -> str:
    """The path as messages show it: relative when it is below the folder."""
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
