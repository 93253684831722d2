"""From TARGET on the command line to the service it names.

`find` says where the code is without importing it; `load` imports it and takes the service. Whatever goes wrong on the
way is a mistake with a code (HR01 to HR04) that shows the user's own line.

A target is `file.py`, `file.py:Chat`, `pkg.mod:Chat`, `pkg.mod:app`, or nothing: then `target` in `[tool.headrace]` of
pyproject.toml or `[headrace]` of headrace.toml, else `app.py`, `main.py` or `service.py`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.machinery
import linecache
import sys
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType

from headrace.errors import DefinitionError, Mistake, Place

DEFAULT_FILES = ("app.py", "main.py", "service.py")

_HOUSE = Path(__file__).resolve().parent.parent  # headrace itself, also when the user's folder holds it
_SCANNED_FILES = 300  # more .py files than this are not searched for services
_MARK = "__headrace_service__"  # what `@service` leaves on a class
_DISTRIBUTIONS = {  # packages whose modules have another name
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dotenv": "python-dotenv",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


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
        return self.module if self.file is None else _shown(self.file, self.folder)


def find(target: str | None, folder: Path) -> Location:
    """Where the target is, looked up from this folder. Raises `DefinitionError` (HR01)."""
    folder = folder.resolve()
    target = target or _declared(folder) or _default(folder)
    where, _, name = target.partition(":")
    if where.endswith(".py") or "/" in where:
        file = folder / where
        if not file.is_file():
            raise _not_found(f'no file "{where}" here', folder)
        root, module = _import_root(file.resolve())
        return Location(module, name or None, file.resolve(), root, folder)
    path = where.replace(".", "/")
    for file in (folder / f"{path}.py", folder / path / "__init__.py") if where else ():
        if file.is_file():
            return Location(where, name or None, file, folder, folder)
    if not _importable(where.split(".")[0]):
        raise _not_found(f'no module "{where}" here', folder)
    return Location(where, name or None, None, folder, folder)


def load(location: Location) -> object:
    """Imports the user's code and returns its service: a class, or what `Service.bind(...)` gave.

    The folder of the code stays first on `sys.path`, for what the code imports later. Raises `DefinitionError` (HR02 to
    HR04, or the mistakes that the code itself raised).
    """
    _refuse_hidden(location)
    module = _import(location)
    return _choose(location, module) if location.name is None else _take(location, module, location.name)


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
            found[_shown(file, folder)] = names
    return found


# finding


def _declared(folder: Path) -> str | None:
    for name, tables in (("headrace.toml", ("headrace",)), ("pyproject.toml", ("tool", "headrace"))):
        try:
            data = tomllib.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DefinitionError([Mistake("HR01", f"{name} is not valid TOML: {error}")]) from error
        table: object = data
        for key in (*tables, "target"):
            table = table.get(key) if isinstance(table, dict) else None
        target = table
        if isinstance(target, str) and target:
            return target
        if target is not None:
            raise DefinitionError([Mistake("HR01", f'{name}: target is {target!r}; write target = "app.py:Chat"')])
    return None


def _default(folder: Path) -> str:
    for name in DEFAULT_FILES:
        if (folder / name).is_file():
            return name
    raise _not_found(f"no target was named, and none of {', '.join(DEFAULT_FILES)} is here", folder)


def _not_found(what: str, folder: Path) -> DefinitionError:
    services = services_in(folder)
    if not services:
        fix = "headrace dev path/to/file.py"
        return DefinitionError([Mistake("HR01", f"{what}. No class decorated with @service was found.", fix=fix)])
    listed = ", ".join(f"{file} ({', '.join(names)})" for file, names in services.items())
    file, names = next(iter(services.items()))
    choice = file if len(names) == 1 else f"{file}:{names[0]}"
    return DefinitionError([Mistake("HR01", f"{what}. Services found: {listed}. Try: headrace dev {choice}")])


def _python_files(folder: Path) -> Iterator[Path]:
    children = sorted(child for child in folder.iterdir() if child.is_dir())
    visible = [child for child in children if not child.name.startswith((".", "__"))]
    folders = [folder, *(child for child in visible if not (child / "pyvenv.cfg").exists())]
    return islice((file for each in folders for file in sorted(each.glob("*.py"))), _SCANNED_FILES)


def _is_decorated(node: ast.ClassDef) -> bool:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called) in ("service", "headrace.service"):
            return True
    return False


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


def _shown(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


# importing


def _import(location: Location) -> ModuleType:
    for path in (str(location.folder), str(location.root)):
        if path not in sys.path[:2]:
            sys.path.insert(0, path)
    importlib.invalidate_caches()
    _forget_namesakes(location)
    try:
        return importlib.import_module(location.module)
    except DefinitionError:
        raise
    except SyntaxError as error:
        raise DefinitionError([_bad_syntax(location, error)]) from error
    except ModuleNotFoundError as error:
        raise DefinitionError([_hiding(location, error) or _missing_module(location, error)]) from error
    except (ImportError, AttributeError) as error:
        raise DefinitionError([_hiding(location, error) or _failure(location, error)]) from error
    except (Exception, SystemExit) as error:
        raise DefinitionError([_failure(location, error)]) from error


def _forget_namesakes(location: Location) -> None:
    """Drops a module of the same name that was loaded from another folder; `import` would give that one."""
    top = location.module.split(".")[0]
    loaded = sys.modules.get(location.module)
    same = loaded is None or _file_of(loaded) == location.file
    if location.file is not None and top != "__main__" and (_loaded_from_elsewhere(top, location) or not same):
        for name in [name for name in sys.modules if name.split(".")[0] == top]:
            del sys.modules[name]


def _bad_syntax(location: Location, error: SyntaxError) -> Mistake:
    file = _shown(Path(error.filename or location.label), location.folder)
    text = error.text or ""
    column = max((error.offset or 0) - (len(text) - len(text.lstrip())), 0)
    place = Place(file, error.lineno or 1, text.strip(), column)
    return Mistake("HR03", f"{file} is not valid Python: {error.msg}", place)


def _missing_module(location: Location, error: ModuleNotFoundError) -> Mistake:
    name = error.name or ""
    top = name.split(".")[0]
    if f"{location.module}.".startswith(f"{name}."):
        return Mistake("HR01", f'there is no module "{location.module}"')
    place = next(iter(_users_places(location, error)), None)
    file = place.file if place else location.label
    own = _own_modules(location)
    if top in own:
        return Mistake("HR03", f'{file} imports "{name}", which is not in your own "{top}"', place)
    if close := difflib.get_close_matches(top, own, n=1):
        return Mistake("HR03", f'{file} imports "{name}", which does not exist. Did you mean "{close[0]}"?', place)
    pip, distribution = f"{sys.executable} -m pip install", _DISTRIBUTIONS.get(top, top)
    why = f"This is Python {sys.version.split()[0]} at {sys.executable}."
    if top in sys.stdlib_module_names or _installed(top):
        what = f'{file} imports "{name}", which this version of "{top}" does not have'
        return Mistake("HR03", what, place, why, f"{pip} --upgrade {distribution}" if _installed(top) else "")
    what = f'{file} imports "{name}", which is not installed'
    return Mistake("HR03", what, place, why, f"{pip} {distribution}")


def _own_modules(location: Location) -> set[str]:
    """The modules and packages that lie beside the user's code."""
    folders = {location.root, location.folder}
    modules = {file.stem for folder in folders for file in folder.glob("*.py")}
    return modules | {file.parent.name for folder in folders for file in folder.glob("*/__init__.py")}


def _failure(location: Location, error: BaseException) -> Mistake:
    left = isinstance(error, SystemExit)
    what = f"{location.label} {'left the program' if left else 'failed'} while it was imported: {_described(error)}"
    places = _users_places(location, error)
    above = ", ".join(f"{place.file}:{place.line}" for place in places[1:4])
    why = f"It was reached through {above}." if above else ""
    fix = 'if __name__ == "__main__":\n    main()' if left else ""
    return Mistake("HR03", what, places[0] if places else None, why, fix)


def _described(error: BaseException) -> str:
    text = traceback.format_exception_only(error)[-1].strip()
    return text if len(text) <= 500 else f"{text[:500]}..."


def _users_places(location: Location, error: BaseException) -> list[Place]:
    """The lines of the user's own files that led to the error, the nearest first."""
    places = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if _is_users(file, location):
            places.append(Place(_shown(file, location.folder), line, linecache.getline(str(file), line).strip()))
    return places[::-1]


def _is_users(file: Path, location: Location) -> bool:
    inside = file.is_relative_to(location.root) or file.is_relative_to(location.folder) or file == location.file
    return inside and not file.is_relative_to(_HOUSE) and not {"site-packages", "dist-packages"} & set(file.parts)


# files that hide modules


def _refuse_hidden(location: Location) -> None:
    """HR04 before anything runs: the target has a taken name, or imports one that a file beside it has."""
    if location.file is None:
        return
    top = location.module.split(".")[0]
    wanted = {top} if top in sys.stdlib_module_names or _loaded_from_elsewhere(top, location) else set()
    for name in sorted(wanted | (_imported_names(location.file) & sys.stdlib_module_names)):
        if mistake := _hidden(name, location):
            raise DefinitionError([mistake])


def _hiding(location: Location, error: ImportError | AttributeError) -> Mistake | None:
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
    elif name == "headrace" or _installed(name):
        owner = f'the installed package "{name}"'
    else:
        return None
    return Mistake("HR04", f"your file {_shown(file, location.folder)} hides {owner}. Rename it.")


def _installed(name: str) -> bool:
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return importlib.machinery.PathFinder.find_spec(name, packages) is not None


def _loaded_from_elsewhere(name: str, location: Location) -> bool:
    loaded = sys.modules.get(name)
    file = _file_of(loaded) if loaded is not None else None
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


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


# taking the service from the module


def _take(location: Location, module: ModuleType, name: str) -> object:
    if not hasattr(module, name):
        close = difflib.get_close_matches(name, [each for each in vars(module) if not each.startswith("_")], n=1)
        hint = f'Did you mean "{close[0]}"?' if close else _hint(location, module)
        raise _wrong_name(f'{location.label} has no "{name}". {hint}')
    found: object = getattr(module, name)
    if not _can_be_served(found):
        fix = f"@service\nclass {name}:" if isinstance(found, type) else ""
        raise _wrong_name(f'"{name}" in {location.label} is not a service. {_hint(location, module)}', fix)
    return found


def _choose(location: Location, module: ModuleType) -> object:
    """The bound app of a module that is not an argument of another one, else the only service that it defines."""
    from headrace.services.decorators import Bound

    members = {name: member for name, member in vars(module).items() if not name.startswith("_")}
    bound = {name: member for name, member in members.items() if isinstance(member, Bound)}
    parts = {id(part) for each in bound.values() for part in (*each.args, *each.kwargs.values())}
    apps = {name: member for name, member in bound.items() if id(member) not in parts}
    services = {name: member for name, member in members.items() if _is_service(member)}
    found = apps or {name: each for name, each in services.items() if each.__module__ == module.__name__}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        listed, first = ", ".join(found), next(iter(found))
        what = f"{location.label} has {len(found)} services: {listed}."
        raise _wrong_name(f"{what} Choose one: headrace dev {location.label}:{first}")
    raise _wrong_name(f"{location.label} has no service of its own. {_hint(location, module)}", "@service\nclass Chat:")


def _wrong_name(what: str, fix: str = "") -> DefinitionError:
    return DefinitionError([Mistake("HR02", what, fix=fix)])


def _hint(location: Location, module: ModuleType) -> str:
    services = [name for name, member in vars(module).items() if _can_be_served(member)]
    if not services:
        return "A service is a class decorated with @service."
    return f"Services found: {', '.join(services)}. Try: headrace dev {location.label}:{services[0]}"


def _can_be_served(member: object) -> bool:
    from headrace.services.decorators import Bound  # deferred: `find` needs nothing of the services

    return _is_service(member) or isinstance(member, Bound)


def _is_service(member: object) -> bool:
    return isinstance(member, type) and _MARK in vars(member)
