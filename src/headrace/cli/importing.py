"""Imports the user's code. What goes wrong is a mistake (HR01, HR03, HR04, HR22) that shows the user's own line."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import linecache
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from headrace.cli.discovery import shown
from headrace.cli.hiding import file_of, hiding, installed, loaded_from_elsewhere, refuse_hidden
from headrace.cli.target import Location
from headrace.errors import DefinitionError, Mistake, Place

_HOUSE = Path(__file__).resolve().parent.parent  # headrace itself, also when the user's folder holds it
_DISTRIBUTIONS = {  # packages whose modules have another name
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dotenv": "python-dotenv",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def import_code(location: Location) -> ModuleType:
    """The module of the location; its folder stays first on `sys.path`, for what the code imports later.

    Raises:
        DefinitionError: HR01, HR03, HR04, or the mistakes that the code itself raised.
    """
    refuse_hidden(location)
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
        raise DefinitionError([hiding(location, error) or _missing_module(location, error)]) from error
    except (ImportError, AttributeError) as error:
        raise DefinitionError([hiding(location, error) or _failure(location, error)]) from error
    except (Exception, SystemExit) as error:
        raise DefinitionError([_failure(location, error)]) from error


def _forget_namesakes(location: Location) -> None:
    """Drops a module of the same name that was loaded from another folder; `import` would give that one."""
    top = location.module.split(".")[0]
    loaded = sys.modules.get(location.module)
    same = loaded is None or file_of(loaded) == location.file
    if location.file is not None and top != "__main__" and (loaded_from_elsewhere(top, location) or not same):
        for name in [name for name in sys.modules if name.split(".")[0] == top]:
            del sys.modules[name]


def _bad_syntax(location: Location, error: SyntaxError) -> Mistake:
    file = shown(Path(error.filename or location.label), location.folder)
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
    if top in sys.stdlib_module_names or installed(top):
        what = f'{file} imports "{name}", which this version of "{top}" does not have'
        return Mistake("HR03", what, place, why, f"{pip} --upgrade {distribution}" if installed(top) else "")
    what = f'{file} imports "{name}", which is not installed'
    if extra := _extra_with(distribution):
        what = f'{file} needs "{name}", which comes with the extra "{extra}"'
        return Mistake("HR22", what, place, why, f'{pip} "headrace[{extra}]"')
    return Mistake("HR03", what, place, why, f"{pip} {distribution}")


def _extra_with(distribution: str) -> str | None:
    """The extra of headrace that brings a distribution, in a version that headrace works with; None where none does."""
    for requirement in importlib.metadata.requires("headrace") or ():
        wanted, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", wanted.strip())
        if extra and name and name.group().lower() == distribution.lower():
            return extra.group(1)
    return None


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
            places.append(Place(shown(file, location.folder), line, linecache.getline(str(file), line).strip()))
    return places[::-1]


def _is_users(file: Path, location: Location) -> bool:
    inside = file.is_relative_to(location.root) or file.is_relative_to(location.folder) or file == location.file
    return inside and not file.is_relative_to(_HOUSE) and not {"site-packages", "dist-packages"} & set(file.parts)
