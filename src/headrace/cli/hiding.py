"""HR04: a file of the user's that hides the module which somebody wanted to import."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType

from headrace.cli.discovery import shown
from headrace.cli.target import Location
from headrace.errors import DefinitionError, Mistake


def refuse_hidden(location: Location) -> None:
    """HR04 before anything runs: the target has a taken name, or imports one that a file beside it has."""
    if location.file is None:
        return
    top = location.module.split(".")[0]
    wanted = {top} if top in sys.stdlib_module_names or loaded_from_elsewhere(top, location) else set()
    for name in sorted(wanted | (_imported_names(location.file) & sys.stdlib_module_names)):
        if mistake := _hidden(name, location):
            raise DefinitionError([mistake])


def hiding(location: Location, error: ImportError | AttributeError) -> Mistake | None:
    """HR04 after a failed import: the module that lacked something is the user's and hides the wanted one."""
    if isinstance(error, ImportError):
        culprit = error.name
    else:
        culprit = error.obj.__name__ if isinstance(error.obj, ModuleType) else None
    return _hidden(culprit.split(".")[0], location) if culprit else None


def _hidden(name: str, location: Location) -> Mistake | None:
    candidates = (location.root / f"{name}.py", location.root / name / "__init__.py")
    file = next((file for file in candidates if file.is_file()), None)
    if file is None:
        return None
    if name in sys.stdlib_module_names:
        owner = f'Python\'s own module "{name}"'
    elif name == "headrace" or installed(name):
        owner = f'the installed package "{name}"'
    else:
        return None
    return Mistake("HR04", f"your file {shown(file, location.folder)} hides {owner}. Rename it.")


def installed(name: str) -> bool:
    """Whether a package of this name is in site-packages."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return importlib.machinery.PathFinder.find_spec(name, packages) is not None


def loaded_from_elsewhere(name: str, location: Location) -> bool:
    """Whether a module of this name is in use that does not come from the folder of the location."""
    loaded = sys.modules.get(name)
    file = file_of(loaded) if loaded is not None else None
    return file is not None and not file.is_relative_to(location.root)


def _imported_names(file: Path) -> set[str]:
    """The first parts of the names that a file imports anywhere in it."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return set()  # the import itself will say it better
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        (node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    }


def file_of(module: ModuleType) -> Path | None:
    """The file that a module was loaded from."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None
