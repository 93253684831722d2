"""Takes the service that TARGET names from its module."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeGuard

from headrace.cli.engine_choice import EngineChoice
from headrace.cli.importing import import_code
from headrace.cli.target import Location
from headrace.errors import DefinitionError, Mistake
from headrace.services.decorators import SERVICE, Bound
from headrace.services.dependencies import every, resolved
from headrace.services.overrides import configured

Servable = type | Bound[Any]


def load_bound(source: Location | EngineChoice, assignments: Mapping[str, str]) -> Bound[Any]:
    """What is served, with constructor arguments from the command line; a class alone is bound to nothing else.

    Raises:
        DefinitionError: as `load`; HR19 for assignments that do not fit; HR22 for an engine without its packages.
    """
    if isinstance(source, EngineChoice):
        from headrace.cli.engine_loading import load_engine  # deferred: most services have no engine

        return load_engine(source, assignments)
    loaded = load(source)
    return configured(loaded if isinstance(loaded, Bound) else Bound(loaded), assignments)


def load(location: Location) -> Servable:
    """Imports the user's code and returns its service: a class, or what `Service.bind(...)` gave.

    Raises:
        DefinitionError: HR01 to HR04, or the mistakes that the code itself raised.
    """
    module = import_code(location)
    return _choose(location, module) if location.name is None else _take(location, module, location.name)


def _take(location: Location, module: ModuleType, name: str) -> Servable:
    if not hasattr(module, name):
        close = difflib.get_close_matches(name, [each for each in vars(module) if not each.startswith("_")], n=1)
        hint = f'Did you mean "{close[0]}"?' if close else _hint(location, module)
        raise _wrong_name(f'{location.label} has no "{name}". {hint}')
    found: object = getattr(module, name)
    if not _can_be_served(found):
        fix = f"@service\nclass {name}:" if isinstance(found, type) else ""
        raise _wrong_name(f'"{name}" in {location.label} is not a service. {_hint(location, module)}', fix)
    return found


def _choose(location: Location, module: ModuleType) -> Servable:
    """The bound app of a module, else the only service that it defines; what another one depends on does not count."""
    members = {name: member for name, member in vars(module).items() if not name.startswith("_")}
    bound = {name: member for name, member in members.items() if isinstance(member, Bound)}
    parts = {id(part) for each in bound.values() for part in (*each.args, *each.kwargs.values())}
    apps: dict[str, Servable] = {name: member for name, member in bound.items() if id(member) not in parts}
    services = {name: member for name, member in members.items() if _is_service(member)}
    own = {name: each for name, each in services.items() if each.__module__ == module.__name__}
    below = {part for each in own.values() for part in _below(each)}
    found = apps or {name: each for name, each in own.items() if each not in below} or own
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        listed, first = ", ".join(found), next(iter(found))
        what = f"{location.label} has {len(found)} services: {listed}."
        raise _wrong_name(f"{what} Choose one: headrace dev {location.label}:{first}")
    raise _wrong_name(f"{location.label} has no service of its own. {_hint(location, module)}", "@service\nclass Chat:")


def _below(service: type) -> set[type]:
    """The services that a service depends on; none where that cannot be told, which is a mistake for `define`."""
    try:
        return {each.service for each in every(resolved(Bound(service)))} - {service}
    except DefinitionError:
        return set()


def _wrong_name(what: str, fix: str = "") -> DefinitionError:
    return DefinitionError([Mistake("HR02", what, fix=fix)])


def _hint(location: Location, module: ModuleType) -> str:
    services = [name for name, member in vars(module).items() if _can_be_served(member)]
    if not services:
        return "A service is a class decorated with @service."
    return f"Services found: {', '.join(services)}. Try: headrace dev {location.label}:{services[0]}"


def _can_be_served(member: object) -> TypeGuard[Servable]:
    return _is_service(member) or isinstance(member, Bound)


def _is_service(member: object) -> TypeGuard[type]:
    return isinstance(member, type) and SERVICE in vars(member)
